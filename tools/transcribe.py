"""The tool `transcribe`: writes down what is said in a recording, with times.

Segments are sent as events while the model listens.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from models.capabilities import Segment, TranscribeRequest
from models.lease import Lease
from tools.media_deps import MediaCall, MediaToolDeps, build_media_tool, model_argument
from tools.references import REFERENCE_SCHEMA
from tools.spec import Tool

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "audio": {
            **REFERENCE_SCHEMA,
            "description": f"The recording. {REFERENCE_SCHEMA['description']}",
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


def transcribe_tool(deps: MediaToolDeps) -> Tool:
    """Build the tool that writes down what is said in a recording."""
    return build_media_tool(
        deps,
        "transcribe",
        "Write down what is said in a recording, with times.",
        PARAMETERS,
        _transcribe,
        reads="private",
        addresses=("audio",),
    )


async def _transcribe(arguments: dict[str, Any], call: MediaCall) -> dict[str, Any]:
    file = await call.read_file(arguments["audio"], "audio")
    recording = await call.media.decode_samples(file.data)
    language = arguments.get("language") or None
    request = TranscribeRequest(recording.samples, language, arguments["translate"])

    async def listen(lease: Lease) -> tuple[list[Segment], str]:
        segments = []
        async with aclosing(lease.transcribe.transcribe(request)) as stream:
            async for segment in stream:
                segments.append(segment)
                call.context.send_event(
                    "progress", transcribed=segment.text, transcribed_s=segment.end_s
                )
        return segments, lease.model.name

    segments, model = await call.run_with_model(arguments["model"], "transcribe", listen)
    return {
        "text": " ".join(each.text.strip() for each in segments).strip(),
        "segments": [
            {"start_s": each.start_s, "end_s": each.end_s, "text": each.text.strip()}
            for each in segments
        ],
        "language": find_language(segments) or language or "",
        "seconds": round(recording.seconds, 3),
        "model": model,
    }


def find_language(segments: Sequence[Segment]) -> str:
    """Return the language that was spoken longest; empty where no segment tells its own."""
    spoken_s: dict[str, float] = {}
    for each in segments:
        if each.language:
            spoken_s[each.language] = spoken_s.get(each.language, 0.0) + each.end_s - each.start_s
    return max(spoken_s, key=lambda language: spoken_s[language], default="")
