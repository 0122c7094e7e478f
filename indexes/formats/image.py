"""Images: their text is a caption that a model wrote beforehand."""

from __future__ import annotations

import io
import re
import warnings
from datetime import datetime
from typing import Any

from PIL import ExifTags, Image

from config.errors import Invalid
from indexes.reading.documents import Block, ParsedText, SourceFile, unreadable_document

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS = 100_000_000
PARAGRAPH = re.compile(r"\S[^\n]*(?:\n[^\S\n]*\S[^\n]*)*")


def read_image(source: SourceFile) -> ParsedText:
    """The caption as the text, what the image's header says as metadata.

    Raises `Invalid`: `needs_caption_model` without a caption, `unreadable_document` for what is no
    image, or one too large to be looked at.
    """
    metadata = _about(source)
    if source.caption is None:
        raise Invalid(
            f"{source.filename} is an image: a caption model is needed to index it.",
            code="needs_caption_model",
            details={"file": source.filename, "field": "data"},
        )
    found = PARAGRAPH.finditer(source.caption)
    blocks = [Block("paragraph", match.start(), match.end()) for match in found]
    return ParsedText(source.caption, blocks, metadata=metadata)


def _about(source: SourceFile) -> dict[str, Any]:
    """Width, height and format, date and camera. Reads the header alone, never the pixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about size and damage: decided here
            image = Image.open(io.BytesIO(source.data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise _too_large(source.filename) from error
    except Exception as error:  # its plugins raise whatever they stumble over
        raise unreadable_document(source.filename, "it is no image, or a broken one") from error
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(source.filename)
    about = {"width": image.width, "height": image.height, "format": image.format}
    return about | _taken(image)


def _too_large(filename: str) -> Invalid:
    return unreadable_document(filename, f"it has more than {MAX_PIXELS // 10**6} million pixels")


def _taken(image: Image.Image) -> dict[str, Any]:
    """When and with what it was taken, where EXIF says so."""
    try:
        # Of the class itself: that of PNG decodes the pixels to look for it behind them.
        exif = Image.Image.getexif(image)
        details = exif.get_ifd(ExifTags.IFD.Exif)
        date = details.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
        makers = (exif.get(ExifTags.Base.Make), exif.get(ExifTags.Base.Model))
    except Exception:  # broken EXIF, in any of many ways
        return {}
    camera = " ".join(str(name).strip(" \0") for name in makers if name)
    taken = {"date": _iso(str(date)), "camera": camera[:200]}
    return {key: value for key, value in taken.items() if value}


def _iso(date: str) -> str | None:
    try:
        return datetime.strptime(date.strip(" \0"), "%Y:%m:%d %H:%M:%S").isoformat()
    except ValueError:
        return None
