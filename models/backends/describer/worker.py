"""The worker's side of the describer: Pillow, and no model."""

from __future__ import annotations

import io
from typing import Any, cast

from PIL import ExifTags, Image, ImageOps

from config.errors import Invalid
from models.backends.describer.colors import Rgb, brightness, shares
from models.workers.host import Answer, TaskHandle

SIDE = 64
DARK_BELOW = 0.28
LIGHT_FROM = 0.68
PLAIN_FROM = 0.97


class DescriberHandler:
    """Method: `describe`, of a picture's file."""

    def __init__(self, options: dict[str, Any]) -> None:
        Image.preinit()

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        try:
            with Image.open(io.BytesIO(body)) as image:
                return {"text": describe(image)}, b""
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise Invalid(
                f"The picture cannot be read: {error}", code="unreadable_image"
            ) from error


def describe(image: Image.Image) -> str:
    """Say what is certain: form, light, colours, and how it was taken."""
    upright = ImageOps.exif_transpose(image)
    width, height = upright.size
    pixels = _opaque(upright).resize((SIDE, SIDE), Image.Resampling.BOX)
    counted = cast("list[tuple[int, Rgb]]", pixels.getcolors(SIDE * SIDE))
    light = brightness(counted)
    tone = "dark " if light < DARK_BELOW else "bright " if light >= LIGHT_FROM else ""
    text = (
        f"By its pixels alone: a {tone}{_form(width, height)} picture of {width} x {height} "
        f"pixels, {_listed(shares(counted))}."
    )
    return f"{text} {taken}" if (taken := _taken(image)) else text


def _opaque(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    ground = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(ground, layer).convert("RGB")


def _form(width: int, height: int) -> str:
    if width > height * 1.1:
        return "landscape"
    return "portrait" if height > width * 1.1 else "square"


def _listed(colors: list[tuple[str, float]]) -> str:
    if not colors:
        return "of many colours"
    if colors[0][1] >= PLAIN_FROM:
        return f"all {colors[0][0]}"
    parts = [f"{share:.0%} {word}" for word, share in colors]
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def _taken(image: Image.Image) -> str:
    """Say when and with what it was taken, as the file itself says."""
    exif = image.getexif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    time = str(details.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime, ""))
    day = time.split(" ")[0].replace(":", "-")
    camera = str(exif.get(ExifTags.Base.Model, "")).strip("\0 ")
    details_taken = [f"on {day}" if len(day) == 10 else "", f"with {camera}" if camera else ""]
    return (
        f"Its file says that it was taken {' '.join(filter(None, details_taken))}."
        if any(details_taken)
        else ""
    )
