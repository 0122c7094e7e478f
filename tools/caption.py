"""Looking at pictures: what is in them, or an answer to a question about them."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from config.errors import Unavailable
from models.capabilities import CaptionRequest
from models.lease import Lease
from tools.media_deps import (
    MAX_PROMPT_CHARS,
    MEDIA_CALL_TIMEOUT_S,
    MediaToolDeps,
    model_argument,
    read_picture,
    run_with_model,
)
from tools.references import REFERENCE
from tools.spec import Tool, ToolContext

MAX_IMAGES = 16

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "image": {
            "description": f"The picture, or a list of several. {REFERENCE['description']}",
            "anyOf": [
                {"type": REFERENCE["type"]},
                {
                    "type": "array",
                    "items": {"type": REFERENCE["type"]},
                    "minItems": 1,
                    "maxItems": MAX_IMAGES,
                },
            ],
        },
        "prompt": {
            "type": "string",
            "maxLength": MAX_PROMPT_CHARS,
            "default": "",
            "description": "What is asked; left out, the picture is described.",
        },
        "max_tokens": {"type": "integer", "minimum": 1, "maximum": 8192, "default": 256},
        "model": model_argument("vision", "Which model looks"),
    },
    "required": ["image"],
    "additionalProperties": False,
}


def caption_tool(making: MediaToolDeps) -> Tool:
    """Describes pictures in words."""

    async def run(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        named = arguments["image"]
        pictures = [
            await read_picture(each, "image", making, context)
            for each in (named if isinstance(named, list) else [named])
        ]
        images = [picture.data for picture in pictures]
        request = CaptionRequest(images, arguments["prompt"], arguments["max_tokens"])

        async def look(lease: Lease) -> tuple[str, str]:
            text = []
            async with aclosing(lease.caption.caption(request)) as stream:
                async for piece in stream:
                    text.append(piece)
                    context.tell("token", text=piece)
            return "".join(text).strip(), lease.model.name

        text, model = await run_with_model(making, arguments["model"], "caption", context, look)
        if not text:
            raise Unavailable(
                f"Model '{model}' said nothing about the picture.", code="response_empty"
            )
        return {"text": text, "model": model}

    return Tool(
        name="caption",
        description="Look at a picture and say what is in it, or answer a question about it.",
        parameters=PARAMETERS,
        run=run,
        repeatable=True,
        timeout_s=MEDIA_CALL_TIMEOUT_S,
    )
