"""The mask of an edit as OpenAI wants it. Imported for the first mask: it needs Pillow."""

from __future__ import annotations

import io

from PIL import Image, ImageOps


def transparent_where_white(mask: bytes) -> bytes:
    """OpenAI draws anew where a mask is transparent, we where it is white. A PNG file."""
    with Image.open(io.BytesIO(mask)) as opened:
        grey = opened.convert("L")
    result = Image.new("RGBA", grey.size, (0, 0, 0, 255))
    result.putalpha(ImageOps.invert(grey))
    target = io.BytesIO()
    result.save(target, "PNG")
    return target.getvalue()
