"""The tool `image`: draws pictures from words, from another picture, or within a mask.

Previews are sent as events; each picture is an artifact that names its seed and settings, with
which the same model draws it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from config.errors import Invalid, Unavailable
from models.capabilities import ImageRequest, ImageStep, Picture
from models.lease import Lease
from tools.media_deps import (
    MAX_PROMPT_CHARS,
    MediaCall,
    MediaToolDeps,
    build_media_tool,
    model_argument,
    pick_arguments,
)
from tools.references import REFERENCE_SCHEMA, encode_data_url
from tools.spec import Tool

PASSED_ON = (
    *("prompt", "negative_prompt", "width", "height", "steps", "guidance", "seed", "count"),
    *("scheduler", "strength", "preview_every"),
)
"""Arguments that a request to a model takes as they are."""
SIDE = {"type": "integer", "minimum": 16, "maximum": 4096}
"""Of a picture, in pixels."""

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "prompt": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_PROMPT_CHARS,
            "description": "What the picture shows, in words: subject, surroundings, style.",
        },
        "image": {
            **REFERENCE_SCHEMA,
            "description": "A picture to edit, instead of beginning from nothing. "
            + REFERENCE_SCHEMA["description"],
        },
        "mask": {
            **REFERENCE_SCHEMA,
            "description": "With `image`: a picture of the same shape; only where it is white is "
            "the image drawn anew.",
        },
        "strength": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "With `image`: 0 keeps it, 1 forgets it.",
        },
        "negative_prompt": {
            "type": "string",
            "maxLength": MAX_PROMPT_CHARS,
            "description": "What the picture must not show.",
        },
        "width": {**SIDE, "description": "In pixels; left out, as the model is used to."},
        "height": {**SIDE, "description": "In pixels; left out, as the model is used to."},
        "seed": {
            "type": "integer",
            "minimum": 0,
            "maximum": 2**32 - 1,
            "description": "The same seed gives the same picture.",
        },
        "count": {"type": "integer", "minimum": 1, "maximum": 8, "default": 1},
        "steps": {"type": "integer", "minimum": 1, "maximum": 200},
        "guidance": {"type": "number", "minimum": 0, "maximum": 50},
        "scheduler": {"type": "string", "maxLength": 100},
        "loras": {
            "type": "array",
            "maxItems": 8,
            "description": "Adapters to draw with, each a source and its weight.",
            "items": {
                "type": "object",
                "properties": {"source": {"type": "string"}, "weight": {"type": "number"}},
                "required": ["source"],
                "additionalProperties": False,
            },
        },
        "preview_every": {
            "type": "integer",
            "minimum": 0,
            "maximum": 100,
            "default": 5,
            "description": "Show a small preview with each n-th step; 0: none.",
        },
        "model": model_argument("image", "Which model draws"),
    },
    "required": ["prompt"],
    "additionalProperties": False,
}


def image_tool(deps: MediaToolDeps) -> Tool:
    """Build the tool that draws pictures and stores them as artifacts."""
    return build_media_tool(
        deps,
        "image",
        "Draw a picture from a description, or edit a given picture. Gives the "
        "picture as an artifact with its URL.",
        PARAMETERS,
        _draw,
        addresses=("image", "mask"),
    )


@dataclass(frozen=True)
class _Drawing:
    """The pictures of one call, and the model and back end that drew them."""

    pictures: Sequence[Picture]
    model: str
    backend: str


async def _draw(arguments: dict[str, Any], call: MediaCall) -> dict[str, Any]:
    request = await _build_request(arguments, call)

    async def draw(lease: Lease) -> _Drawing:
        pictures = await _collect_pictures(lease, request, call)
        return _Drawing(pictures, lease.model.name, lease.model.backend)

    drawing = await call.run_with_model(arguments["model"], "image", draw)
    if not drawing.pictures:
        raise Unavailable(f"Model '{drawing.model}' drew nothing.", code="response_empty")
    artifacts = [await _store(each, request, drawing, call) for each in drawing.pictures]
    return {
        "artifact": artifacts[0],
        "artifacts": artifacts,
        "model": drawing.model,
        "seed": drawing.pictures[0].seed,
        "settings": drawing.pictures[0].settings,
    }


async def _build_request(arguments: dict[str, Any], call: MediaCall) -> ImageRequest:
    if arguments.get("mask") and not arguments.get("image"):
        raise Invalid(
            "mask needs the image that it covers.",
            code="invalid_arguments",
            details={"field": "image", "tool": "image"},
        )
    files = await _read_files(arguments, call)
    loras = tuple((each["source"], each.get("weight", 1.0)) for each in arguments.get("loras", ()))
    return ImageRequest(**pick_arguments(arguments, *PASSED_ON), **files, loras=loras)


async def _read_files(arguments: dict[str, Any], call: MediaCall) -> dict[str, Any]:
    """Read the picture to edit and its mask, as far as there are any."""
    if not arguments.get("image"):
        return {}
    image = await call.read_picture(arguments["image"], "image")
    if not arguments.get("mask"):
        return {"image": image.data}
    covering = await call.read_file(arguments["mask"], "mask")
    mask = await call.media.prepare_mask(covering.data, width=image.width, height=image.height)
    return {"image": image.data, "mask": mask.data}


async def _collect_pictures(lease: Lease, request: ImageRequest, call: MediaCall) -> list[Picture]:
    pictures = []
    async with aclosing(lease.image.draw(request)) as stream:
        async for each in stream:
            if isinstance(each, ImageStep):
                shown = (
                    {"preview": encode_data_url(each.preview, "image/jpeg")} if each.preview else {}
                )
                call.context.send_event(
                    "progress", step_done=each.step, step_total=each.total, **shown
                )
            else:
                pictures.append(each)
    return pictures


async def _store(
    picture: Picture, request: ImageRequest, drawing: _Drawing, call: MediaCall
) -> dict[str, Any]:
    about = {
        "tool": "image",
        "model": drawing.model,
        "backend": drawing.backend,
        "mode": request.mode,
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "seed": picture.seed,
        "settings": dict(picture.settings),
    }
    size = {"width": picture.width, "height": picture.height, "seed": picture.seed}
    return await call.store_artifact(picture.data, "image/png", about, **size)
