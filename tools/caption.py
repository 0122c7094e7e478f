"""The tool `caption`: says what is in pictures, or answers a question about them.

Tokens are sent as events while the model looks; the result holds the whole text.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from config.errors import Unavailable
from models.capabilities import CaptionRequest
from models.lease import Lease
from models.output.plain import split_thinking
from models.output.thinking import Piece, ThinkingFilter
from tools.media_deps import (
    MAX_PROMPT_CHARS,
    MediaCall,
    MediaToolDeps,
    build_media_tool,
    model_argument,
)
from tools.references import REFERENCE_SCHEMA
from tools.spec import Tool, ToolContext

MAX_IMAGES = 16
"""In one call; a model sees them together."""

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "image": {
            "description": f"The picture, or a list of several. {REFERENCE_SCHEMA['description']}",
            "anyOf": [
                {"type": REFERENCE_SCHEMA["type"]},
                {
                    "type": "array",
                    "items": {"type": REFERENCE_SCHEMA["type"]},
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


def caption_tool(deps: MediaToolDeps) -> Tool:
    """Build the tool that describes pictures in words."""
    return build_media_tool(
        deps,
        "caption",
        "Look at a picture and say what is in it, or answer a question about it.",
        PARAMETERS,
        _caption,
        reads="private",
        addresses=("image",),
    )


async def _caption(arguments: dict[str, Any], call: MediaCall) -> dict[str, Any]:
    references = arguments["image"]
    pictures = [
        await call.read_picture(each, "image")
        for each in (references if isinstance(references, list) else [references])
    ]
    images = [picture.data for picture in pictures]
    request = CaptionRequest(images, arguments["prompt"], arguments["max_tokens"])

    async def look(lease: Lease) -> tuple[str, str]:
        written, filter_ = [], ThinkingFilter()
        async with aclosing(lease.caption.caption(request)) as stream:
            async for piece in stream:
                written.append(piece)
                _send(filter_.feed(piece), call.context)
        _send(filter_.end(), call.context)
        return "".join(written), lease.model.name

    written, model = await call.run_with_model(arguments["model"], "caption", look)
    thinking, text = split_thinking(written)
    if not text:
        code = "only_thinking" if thinking else "response_empty"
        raise Unavailable(f"Model '{model}' said nothing about the picture.", code=code)
    return {"text": text, "model": model}


def _send(pieces: Sequence[Piece], context: ToolContext) -> None:
    for piece in pieces:
        if piece.kind != "unopened":
            context.send_event("token" if piece.kind == "text" else "thinking", text=piece.text)
