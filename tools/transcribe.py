"""Speech to text."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from models.capabilities import Segment, TranscribeRequest
from models.lease import Lease
from tools.media_deps import (
    MEDIA_CALL_TIMEOUT_S,
    MediaToolDeps,
    model_argument,
    run_with_model,
)
from tools.references import REFERENCE
from tools.spec import Tool, ToolContext

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "audio": {
            **REFERENCE,
            "description": f"The recording. {REFERENCE['description']}",
        },
        "language": {
            "type": "string",
            "maxLength": 35,
            "description": "As in en, de; left out, the model finds it out.",
        },
        "translate": {
            "type": "boolean",
            "default": False,
            "description": "Write it down in English, whatever is spoken.",
        },
        "model": model_argument("transcribe", "Which model listens"),
    },
    "required": ["audio"],
    "additionalProperties": False,
}


def transcribe_tool(making: MediaToolDeps) -> Tool:
    """Writes down what is said in a recording."""

    async def run(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        named = arguments["audio"]
        file = await making.files.read(named, field="audio", tenant=context.tenant)
        heard = await making.media.decode_samples(file.data)
        language = arguments.get("language") or None
        request = TranscribeRequest(heard.samples, language, arguments["translate"])

        async def listen(lease: Lease) -> tuple[list[Segment], str]:
            segments = []
            async with aclosing(lease.transcribe.transcribe(request)) as stream:
                async for segment in stream:
                    segments.append(segment)
                    context.tell("progress", heard=segment.text, heard_s=segment.end_s)
            return segments, lease.model.name

        segments, model = await run_with_model(
            making, arguments["model"], "transcribe", context, listen
        )
        return {
            "text": " ".join(each.text.strip() for each in segments).strip(),
            "segments": [
                {"start_s": each.start_s, "end_s": each.end_s, "text": each.text.strip()}
                for each in segments
            ],
            "seconds": round(heard.seconds, 3),
            "model": model,
        }

    return Tool(
        name="transcribe",
        description="Write down what is said in a recording, with times.",
        parameters=PARAMETERS,
        run=run,
        repeatable=True,
        timeout_s=MEDIA_CALL_TIMEOUT_S,
    )
