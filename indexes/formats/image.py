"""Reads images: their text is a caption that a model wrote beforehand.

Looks at the header alone, never at the pixels: their size is checked before anything is decoded.
"""

from __future__ import annotations

import io
import re
import warnings
from datetime import datetime
from typing import Any

from PIL import ExifTags, Image

from config.errors import Invalid
from indexes.reading.content import Block, ParsedText, unreadable_document
from indexes.reading.source import SourceFile

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS = 100_000_000
"""No captioner looks at more; unpacked they take 400 MB."""
PARAGRAPH = re.compile(r"\S[^\n]*(?:\n[^\S\n]*\S[^\n]*)*")


def read_image(source: SourceFile) -> ParsedText:
    """Return the caption as the text, and what the image's header says as metadata.

    Raises `Invalid`: `needs_caption_model` without a caption, `unreadable_document` for what is no
    image, or one too large to be looked at.
    """
    metadata = _read_header(source)
    if source.caption is None:
        raise Invalid(
            f"{source.filename} is an image: a caption model is needed to index it.",
            code="needs_caption_model",
            details={"file": source.filename, "field": "data"},
        )
    paragraphs = PARAGRAPH.finditer(source.caption)
    blocks = [Block("paragraph", match.start(), match.end()) for match in paragraphs]
    return ParsedText(source.caption, blocks, metadata=metadata)


def _read_header(source: SourceFile) -> dict[str, Any]:
    """Read width, height and format, date and camera from the header alone.

    Raises `Invalid` (`unreadable_document`).
    """
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
    return about | _read_exif(image)


def _too_large(filename: str) -> Invalid:
    return unreadable_document(filename, f"it has more than {MAX_PIXELS // 10**6} million pixels")


def _read_exif(image: Image.Image) -> dict[str, Any]:
    """Read when and with what a picture was taken, where EXIF says so."""
    try:
        # Of the class itself: that of PNG decodes the pixels to look for it behind them.
        exif = Image.Image.getexif(image)
        details = exif.get_ifd(ExifTags.IFD.Exif)
        date = details.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
        makers = (exif.get(ExifTags.Base.Make), exif.get(ExifTags.Base.Model))
    except Exception:  # broken EXIF, in any of many ways
        return {}
    camera = " ".join(str(name).strip(" \0") for name in makers if name)
    facts = {"date": _to_iso(str(date)), "camera": camera[:200]}
    return {key: value for key, value in facts.items() if value}


def _to_iso(date: str) -> str | None:
    """Convert a date of EXIF (`YYYY:MM:DD HH:MM:SS`) to ISO 8601; None where it is none."""
    try:
        return datetime.strptime(date.strip(" \0"), "%Y:%m:%d %H:%M:%S").isoformat()
    except ValueError:
        return None
