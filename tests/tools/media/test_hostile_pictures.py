"""Broken and hostile pictures are refused, and cost nobody else anything."""

from __future__ import annotations

import random
import struct
import zlib

import pytest
from PIL import Image

from config.errors import Invalid, Unavailable
from tests.support.media_files import file_of, halves, image_of
from tests.support.tenants import TENANT
from tools.media import Media, TenantMedia

FORMATS = ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]


def chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it has so many pixels, and has them: all black, well compressed."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    rows = zlib.compress(b"\0" * ((width // 8 + 1) * 1000), 9)
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def refused(media: TenantMedia, data: bytes) -> Invalid:
    with pytest.raises(Invalid) as caught:
        await media.prepare_picture(data)
    assert caught.value.details["field"] == "image"
    return caught.value


async def outcome(media: TenantMedia, data: bytes) -> str:
    try:
        image_of((await media.prepare_picture(data)).data)
    except Invalid as error:
        return error.code
    return "read"


async def test_a_decompression_bomb_is_refused_with_the_numbers(media: TenantMedia) -> None:
    error = await refused(media, bomb(50_000, 50_000))
    assert error.code == "too_large"
    assert error.details == {
        "field": "image",
        "width": 50_000,
        "height": 50_000,
        "max_pixels": 80_000_000,
    }
    assert "50000 x 50000" in error.message


async def test_picture_just_below_the_limit_is_read(media: TenantMedia) -> None:
    large = file_of(Image.new("L", (9000, 8800), 128))
    assert (await media.make_thumbnail(large)).width == 320


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        (b"%PDF-1.7", "not a picture"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 40, "of type image/heic"),
        (b"RIFF\0\0\0\0WAVEfmt ", "of type audio/wav"),
        (b"\x89PNG\r\n\x1a\n", "broken"),
        (b"\xff\xd8\xff\xe0", "broken"),
        (b"II*\0" + b"\xff" * 64, "broken"),
    ],
)
async def test_file_that_is_no_picture_is_refused_by_its_type(
    media: TenantMedia, data: bytes, says: str
) -> None:
    error = await refused(media, data)
    assert error.code == "unreadable_image"
    assert says in error.message


@pytest.mark.parametrize("format", FORMATS)
async def test_a_file_cut_short_is_refused(media: TenantMedia, format: str) -> None:
    noise = Image.effect_noise((64, 64), 80).convert("RGB")
    data = file_of(noise, format)
    error = await refused(media, data[: len(data) // 2])
    assert error.code == "unreadable_image"


@pytest.mark.parametrize("format", FORMATS)
async def test_damaged_files_are_read_or_refused(media: TenantMedia, format: str) -> None:
    whole = file_of(halves(), format)
    dice = random.Random(format)
    for _ in range(25):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 8)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        assert await outcome(media, bytes(damaged)) in ("read", "unreadable_image", "too_large")
    assert (await media.prepare_picture(whole)).width == 80


async def test_file_that_takes_too_much_memory_is_refused_and_the_next_is_read() -> None:
    workers = Media(memory_bytes=300 * 2**20)
    media = workers.of_tenant(TENANT)
    try:
        large = file_of(Image.new("RGB", (8000, 8000)))
        with pytest.raises(Invalid, match="memory") as caught:
            await media.prepare_picture(large)
        assert caught.value.code == "unreadable_image"
        assert (await media.prepare_picture(file_of(halves()))).width == 80
    finally:
        await workers.close()


async def test_file_that_takes_too_long_is_refused() -> None:
    workers = Media(timeout_s=0.05)
    media = workers.of_tenant(TENANT)
    try:
        flat = file_of(Image.new("1", (8900, 8900)))
        with pytest.raises(Invalid, match="more than") as caught:
            await media.prepare_picture(flat, max_side=8900)
        assert caught.value.code == "unreadable_image"
    finally:
        await workers.close()


async def test_read_after_close_is_refused() -> None:
    workers = Media()
    media = workers.of_tenant(TENANT)
    await workers.close()
    with pytest.raises(Unavailable) as caught:
        await media.prepare_picture(file_of(halves()))
    assert caught.value.code == "shutting_down"
