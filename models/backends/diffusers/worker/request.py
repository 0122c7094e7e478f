"""A request, checked against what the pipeline can do: every error names its field."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image, UnidentifiedImageError

from config.errors import Invalid
from models.capabilities.image import Mode

MAX_STEPS = 500
"""Not 1000: some schedulers count beyond their table then."""
TRIAL_STEPS = 4
MAX_GUIDANCE = 100.0
SEEDS = 2**63
"""Seeds are whole numbers below this, as torch takes them."""
MAX_PIXELS = 64_000_000


@dataclass(frozen=True, slots=True)
class DrawingLimits:
    """What a pipeline can draw. Sides are multiples of `grid`, from `least` to `most` pixels."""

    width: int
    height: int
    grid: int
    least: int
    most: int
    max_count: int
    steps: int
    guidance: float | None
    scheduler: str | None


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """What is to be drawn, complete but for the seed of each picture."""

    mode: Mode
    prompt: str
    negative_prompt: str
    width: int
    height: int
    steps: int
    guidance: float | None
    seed: int
    count: int
    scheduler: str | None
    strength: float | None
    loras: list[tuple[str, float]]
    preview_every: int
    image: Image.Image | None
    mask: Image.Image | None


def check_request(
    header: Mapping[str, Any], body: bytes, limits: DrawingLimits, chance: int
) -> CheckedRequest:
    """Check a request. Raises `Invalid` with the field. `chance` is the seed of one without."""
    image_bytes, mask_bytes = header["image_bytes"], header["mask_bytes"]
    if mask_bytes and not image_bytes:
        raise invalid("mask", "it says what of an image is drawn anew: give the `image` too")
    image = _opened("image", body[:image_bytes]) if image_bytes else None
    mask = _opened("mask", body[image_bytes:]) if mask_bytes else None
    if image and mask and image.size != mask.size:
        raise invalid("mask", f"it is {_by(mask.size)}, the image {_by(image.size)}: make it equal")
    if header["strength"] is not None and image is None:
        raise invalid("strength", "it is for editing an `image`, and none was given")
    width, height = _size(header, image, limits)
    steps = _within("steps", header["steps"] or limits.steps, 1, MAX_STEPS)
    guidance = limits.guidance if header["guidance"] is None else header["guidance"]
    if guidance is not None:
        _within("guidance", guidance, 0, MAX_GUIDANCE)
    seed = chance if header["seed"] is None else header["seed"]
    return CheckedRequest(
        mode="generate" if image is None else "edit" if mask is None else "inpaint",
        prompt=header["prompt"],
        negative_prompt=header["negative_prompt"],
        width=width,
        height=height,
        steps=steps,
        guidance=guidance,
        seed=_within("seed", seed, 0, SEEDS - limits.max_count),
        count=_within("count", header["count"], 1, limits.max_count),
        scheduler=header["scheduler"] or limits.scheduler,
        strength=_share("strength", header["strength"]),
        loras=[(source, weight) for source, weight in header["loras"]],
        preview_every=_within("preview_every", header["preview_every"], 0, MAX_STEPS),
        image=image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        if image
        else None,
        mask=mask.convert("L").resize((width, height), Image.Resampling.NEAREST) if mask else None,
    )


def trial_request(mode: Mode, limits: DrawingLimits) -> CheckedRequest:
    """Request the usual picture, in few steps."""
    size = (limits.width, limits.height)
    return CheckedRequest(
        mode=mode,
        prompt="",
        negative_prompt="",
        width=limits.width,
        height=limits.height,
        steps=TRIAL_STEPS,
        guidance=limits.guidance,
        seed=0,
        count=1,
        scheduler=limits.scheduler,
        strength=None,
        loras=[],
        preview_every=0,
        image=None if mode == "generate" else Image.new("RGB", size),
        mask=Image.new("L", size, 255) if mode == "inpaint" else None,
    )


def invalid(field: str, reason: str, code: str = "invalid_image_options") -> Invalid:
    return Invalid(f"{field}: {reason}.", code=code, details={"field": field})


def _opened(field: str, data: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
        if image.width * image.height > MAX_PIXELS:
            raise invalid(field, f"it has more than {MAX_PIXELS // 10**6} million pixels")
        image.load()
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
        raise invalid(field, "it is no whole PNG or JPEG file", code="unreadable_image") from error
    return image


def _size(
    header: Mapping[str, Any], image: Image.Image | None, limits: DrawingLimits
) -> tuple[int, int]:
    """Choose the size: as asked for; else of the image, at the usual area; else the usual one."""
    width, height = header["width"], header["height"]
    if image and width is None and height is None:
        shrink = math.sqrt(limits.width * limits.height / (image.width * image.height))
        return _fit(image.width * shrink, limits), _fit(image.height * shrink, limits)
    return (
        _side("width", width or limits.width, limits),
        _side("height", height or limits.height, limits),
    )


def _fit(side: float, limits: DrawingLimits) -> int:
    bounded = min(max(side, limits.least), limits.most)
    return max(1, round(bounded / limits.grid)) * limits.grid


def _side(field: str, side: int, limits: DrawingLimits) -> int:
    if not limits.least <= side <= limits.most:
        raise invalid(
            field, f"{side} pixels; this model draws from {limits.least} to {limits.most}"
        )
    if side % limits.grid:
        raise invalid(
            field, f"{side} must be a multiple of {limits.grid}, such as {_fit(side, limits)}"
        )
    return side


def _share(field: str, value: float | None) -> float | None:
    return None if value is None else _within(field, value, 0, 1)


def _within(field: str, value: Any, least: float, most: float) -> Any:
    if not least <= value <= most:
        raise invalid(field, f"{value} must be from {least:g} to {most:g}")
    return value


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
