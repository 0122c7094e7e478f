"""Making pictures: from words, from another picture, or within a mask."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from config.errors import Invalid, Unavailable
from models.capabilities import ImageRequest, ImageStep, Picture
from models.lease import Lease
from tools.media_deps import (
    MAX_PROMPT_CHARS,
    MEDIA_CALL_TIMEOUT_S,
    MediaToolDeps,
    model_argument,
    pick_arguments,
    read_picture,
    run_with_model,
    store_artifact,
)
from tools.references import REFERENCE, encode_data_url
from tools.spec import Tool, ToolContext

PASSED_ON = (
    *("prompt", "negative_prompt", "width", "height", "steps", "guidance", "seed", "count"),
    *("scheduler", "strength", "preview_every"),
)
SIDE = {"type": "integer", "minimum": 16, "maximum": 4096}

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
            **REFERENCE,
            "description": "A picture to edit, instead of beginning from nothing. "
            + REFERENCE["description"],
        },
        "mask": {
            **REFERENCE,
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


def image_tool(making: MediaToolDeps) -> Tool:
    """Draws pictures and keeps them as artifacts."""

    async def run(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        request = await _request(arguments, making, context)

        async def draw(lease: Lease) -> tuple[list[Picture], dict[str, str]]:
            made = await _drawn(lease, request, context)
            return made, {"model": lease.model.name, "backend": lease.model.backend}

        pictures, by = await run_with_model(making, arguments["model"], "image", context, draw)
        if not pictures:
            raise Unavailable(f"Model '{by['model']}' drew nothing.", code="response_empty")
        kept = [await _kept(each, request, by, making, context) for each in pictures]
        return {
            "artifact": kept[0],
            "artifacts": kept,
            "model": by["model"],
            "seed": pictures[0].seed,
            "settings": pictures[0].settings,
        }

    return Tool(
        name="image",
        description="Draw a picture from a description, or edit a given picture. Gives the "
        "picture as an artifact with its URL.",
        parameters=PARAMETERS,
        run=run,
        repeatable=True,
        timeout_s=MEDIA_CALL_TIMEOUT_S,
    )


async def _request(
    arguments: dict[str, Any], making: MediaToolDeps, context: ToolContext
) -> ImageRequest:
    if arguments.get("mask") and not arguments.get("image"):
        raise Invalid(
            "mask needs the image that it covers.",
            code="invalid_arguments",
            details={"field": "image", "tool": "image"},
        )
    files = await _files(arguments, making, context)
    loras = tuple((each["source"], each.get("weight", 1.0)) for each in arguments.get("loras", ()))
    return ImageRequest(**pick_arguments(arguments, *PASSED_ON), **files, loras=loras)


async def _files(
    arguments: dict[str, Any], making: MediaToolDeps, context: ToolContext
) -> dict[str, Any]:
    """The picture to edit and its mask, as far as they are given."""
    if not arguments.get("image"):
        return {}
    image = await read_picture(arguments["image"], "image", making, context)
    if not arguments.get("mask"):
        return {"image": image.data}
    covering = await making.files.read(arguments["mask"], field="mask", tenant=context.tenant)
    mask = await making.media.prepare_mask(covering.data, width=image.width, height=image.height)
    return {"image": image.data, "mask": mask.data}


async def _drawn(lease: Lease, request: ImageRequest, context: ToolContext) -> list[Picture]:
    pictures = []
    async with aclosing(lease.image.draw(request)) as stream:
        async for each in stream:
            if isinstance(each, ImageStep):
                shown = (
                    {"preview": encode_data_url(each.preview, "image/jpeg")} if each.preview else {}
                )
                context.tell("progress", step_done=each.step, step_total=each.total, **shown)
            else:
                pictures.append(each)
    return pictures


async def _kept(
    picture: Picture,
    request: ImageRequest,
    by: dict[str, str],
    making: MediaToolDeps,
    context: ToolContext,
) -> dict[str, Any]:
    about = {
        "tool": "image",
        **by,
        "mode": request.mode,
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "seed": picture.seed,
        "settings": dict(picture.settings),
    }
    size = {"width": picture.width, "height": picture.height, "seed": picture.seed}
    return await store_artifact(making, picture.data, "image/png", context, about, **size)
