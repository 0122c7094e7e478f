"""Images: a caption is their text, the header their metadata; the pixels are never read."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import pytest
from PIL import ExifTags, Image

from config.errors import Invalid
from indexes.reading.documents import is_supported, read

CAPTION = "A ferry leaves the harbour.\n\nGulls follow it."


def picture(kind: str, size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, "red").save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("kind", "filename"),
    [
        ("PNG", "a.png"),
        ("JPEG", "a.jpg"),
        ("JPEG", "a.jpeg"),
        ("WEBP", "a.webp"),
        ("GIF", "a.gif"),
        ("BMP", "a.bmp"),
        ("TIFF", "a.tiff"),
    ],
)
def test_a_caption_is_the_text_of_an_image(kind: str, filename: str) -> None:
    content = read(picture(kind), filename, caption=CAPTION)
    assert content.text == CAPTION
    assert [content.text[b.start : b.end] for b in content.blocks] == CAPTION.split("\n\n")
    assert content.metadata == {"width": 40, "height": 30, "format": kind}


def test_without_a_caption_an_image_asks_for_a_model() -> None:
    with pytest.raises(Invalid, match="caption model") as caught:
        read(picture("PNG"), "a.png")
    assert caught.value.code == "needs_caption_model"
    assert caught.value.details["file"] == "a.png"


def test_an_empty_caption_is_no_text() -> None:
    with pytest.raises(Invalid, match="no text"):
        read(picture("PNG"), "a.png", caption=" ")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_date_and_camera_are_known_where_exif_says_them(kind: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Acme"
    exif[ExifTags.Base.Model] = "One"
    exif[ExifTags.Base.DateTime] = "2024:03:05 18:00:01"
    metadata = read(picture(kind, exif=exif), "a.png", caption=CAPTION).metadata
    assert metadata["date"] == "2024-03-05T18:00:01"
    assert metadata["camera"] == "Acme One"


def png_header(width: int, height: int) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100_000)))


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (20_000, 6_000), (2**31 - 1, 1)])
def test_an_image_of_too_many_pixels_is_refused_by_its_header(width: int, height: int) -> None:
    with pytest.raises(Invalid, match="million pixels"):
        read(png_header(width, height), "a.png", caption=CAPTION)


@pytest.mark.parametrize(
    "data", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff\xe0", b"BM", b"II*\0"]
)
def test_file_that_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        read(data, "a.png", caption=CAPTION)
    assert caught.value.code == "unreadable_document"


def test_images_are_taken_from_a_folder_only_where_they_can_be_captioned() -> None:
    assert not is_supported("a.png")
    assert is_supported("a.png", captions=True)
    assert is_supported("a.md", captions=True)
