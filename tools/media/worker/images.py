"""Makes pictures fit for use, with Pillow: upright, RGB or RGBA, of bounded size, no metadata.

A picture's size is checked by its header, before anything is decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any, cast

from PIL import Image, ImageCms, ImageOps

from config.errors import Invalid
from models.workers.host import Answer
from tools.media.kinds import kind_of

FORMATS = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/bmp": "BMP",
    "image/tiff": "TIFF",
    "image/avif": "AVIF",
}
JPEG_QUALITY = 90
"""Of Pillow's scale to 95; above it files only grow."""

# We look at the size ourselves, before anything is decoded.
Image.MAX_IMAGE_PIXELS = None


def prepare(
    data: bytes,
    *,
    max_side: int,
    max_pixels: int | None,
    flatten: bool,
    format: str | None,
    max_source_pixels: int,
) -> Answer:
    """Prepare a picture as PNG or JPEG. Raises `Invalid` (`unreadable_image`, `too_large`)."""
    image = _open(data, max_source_pixels)
    original = _describe(image)
    kind = format or ("jpeg" if original["format"] == "jpeg" else "png")

    def convert() -> Image.Image:
        size = _fitting_size(image.size, max_side, max_pixels)
        image.draft(None, size)  # a large JPEG is decoded at a part of its size
        upright = _to_colors(_turn_upright(image))
        size = _fitting_size(upright.size, max_side, max_pixels)
        small = upright.resize(size, Image.Resampling.LANCZOS) if size != upright.size else upright
        return _put_on_white(small) if flatten or kind == "jpeg" else small

    return _encode(_decode(convert), kind, original)


def prepare_mask(data: bytes, *, width: int, height: int, max_source_pixels: int) -> Answer:
    """Prepare a mask of the size of its picture, as grey PNG.

    Raises `Invalid` (`unreadable_image`, `too_large`, `empty_mask`).
    """
    image = _open(data, max_source_pixels)
    original = _describe(image)

    def convert() -> Image.Image:
        upright = _to_colors(_turn_upright(image))
        if upright.mode == "RGBA":
            mask = ImageOps.invert(upright.getchannel("A"))
        else:
            mask = upright.convert("L")
        return mask.resize((width, height), Image.Resampling.BILINEAR)

    drawn = _decode(convert)
    if not drawn.getbbox():
        raise Invalid(
            "The mask names no place: what is to be drawn anew is white in it, or transparent.",
            code="empty_mask",
            details={"field": "mask"},
        )
    return _encode(drawn, "png", original)


def _open(data: bytes, max_pixels: int) -> Image.Image:
    """Open the file's first picture, not decoded yet."""
    kind = kind_of(data)
    if kind not in FORMATS:
        what = "not a picture" if kind is None else f"a file of type {kind}"
        raise _unreadable(f"it is {what}. Give a PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF file")
    image = _decode(lambda: Image.open(BytesIO(data), formats=[FORMATS[kind]]))
    width, height = image.size
    if width * height > max_pixels:
        raise Invalid(
            f"A picture has at most {max_pixels} pixels; this one has {width} x {height}, which "
            f"are {width * height}.",
            code="too_large",
            details={"field": "image", "width": width, "height": height, "max_pixels": max_pixels},
        )
    return image


def _decode(convert: Callable[[], Image.Image]) -> Image.Image:
    try:
        return convert()
    except (Invalid, MemoryError):
        raise
    except Exception as error:  # broken files make Pillow raise nearly everything there is
        raise _unreadable(f"it is broken ({error})"[:300]) from error


def _unreadable(why: str) -> Invalid:
    return Invalid(
        f"The picture cannot be read: {why}.",
        code="unreadable_image",
        details={"field": "image"},
    )


def _describe(image: Image.Image) -> dict[str, Any]:
    format = "jpeg" if image.format == "MPO" else (image.format or "").lower()
    return {"format": format, "width": image.width, "height": image.height}


def _to_colors(image: Image.Image) -> Image.Image:
    """Convert to RGB, or to RGBA where a part is transparent."""
    if image.mode.startswith(("I", "F")):
        return _to_8_bits(image).convert("RGB")
    if image.has_transparency_data:
        colors = image.convert("RGBA")
        lowest = colors.getchannel("A").getextrema()[0]
        return colors if lowest != 255 else colors.convert("RGB")
    return _apply_profile(image).convert("RGB")


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Scale grey of more than 8 bits, which Pillow would cut off at 255."""
    deep = image.convert("F")
    extremes = cast("tuple[float, float]", deep.getextrema())
    lowest, highest = (0.0, 65535.0) if image.mode.startswith("I;16") else extremes
    scale = 255 / (highest - lowest) if highest > lowest else 0.0
    return deep.point(lambda value: value * scale - lowest * scale).convert("L")


def _apply_profile(image: Image.Image) -> Image.Image:
    """Convert to the colours that the picture's profile means, as far as that can be read."""
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "CMYK"):
        with suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            if converted := ImageCms.profileToProfile(image, source, srgb, outputMode="RGB"):
                return converted
    return image


def _turn_upright(image: Image.Image) -> Image.Image:
    with suppress(Exception):  # a broken note about its orientation is no reason to refuse it
        return ImageOps.exif_transpose(image)
    return image


def _fitting_size(size: tuple[int, int], max_side: int, max_pixels: int | None) -> tuple[int, int]:
    width, height = size
    scale = min(1.0, max_side / max(size))
    if max_pixels is not None:
        scale = min(scale, (max_pixels / (width * height)) ** 0.5)
    return max(1, int(width * scale)), max(1, int(height * scale))


def _put_on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    ground = Image.new("RGB", image.size, "white")
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _encode(image: Image.Image, kind: str, original: dict[str, Any]) -> Answer:
    image.info = {}  # Pillow would write profiles and comments into the new file
    file = BytesIO()
    if kind == "jpeg":
        image.save(file, "JPEG", quality=JPEG_QUALITY)
    else:
        image.save(file, "PNG")
    about = {"media_type": f"image/{kind}", "width": image.width, "height": image.height}
    return {**about, "original": original}, file.getvalue()
