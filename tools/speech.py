"""The tool `speech`: reads a text aloud, as one sound with the times of its sentences.

The model speaks sentence by sentence; this module joins them with pauses and marks chapters. How a
file of sound is made is `tools.media`'s matter.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from config.errors import Invalid, Unavailable
from models.capabilities import Sound, SpeechRequest
from models.lease import Lease
from tools.media import MEDIA_TYPES, Chapter, EncodedSound
from tools.media_deps import (
    MediaCall,
    MediaToolDeps,
    build_media_tool,
    model_argument,
    pick_arguments,
)
from tools.references import REFERENCE_SCHEMA
from tools.spec import Tool

MAX_CHARACTERS = 60_000
"""About an hour of speech."""
PAUSE_S = 0.3
"""Between sentences."""
MAX_PROVENANCE_CHARS = 2000
"""So much of the text stands in the artifact's provenance."""

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_CHARACTERS,
            "description": "What is said.",
        },
        "chapters": {
            "type": "array",
            "minItems": 1,
            "maxItems": 200,
            "description": "Instead of `text`: parts, each with a title, which is not said.",
            "items": {
                "type": "object",
                "properties": {
                    "title": {"type": "string"},
                    "text": {"type": "string", "minLength": 1},
                },
                "required": ["text"],
            },
        },
        "title": {"type": "string", "maxLength": 200, "description": "Written into the file."},
        "voice": {
            "type": "string",
            "maxLength": 200,
            "description": "One of the model's voices; a wrong one is answered with their names.",
        },
        "language": {"type": "string", "maxLength": 35, "description": "As in en, de, pt-BR."},
        "speed": {"type": "number", "minimum": 0.25, "maximum": 4, "default": 1},
        "reference": {
            **REFERENCE_SCHEMA,
            "description": "A recording of the voice to speak with, where the model can imitate "
            "one. " + REFERENCE_SCHEMA["description"],
        },
        "format": {"type": "string", "enum": list(MEDIA_TYPES), "default": "mp3"},
        "model": model_argument("voice", "Which model speaks"),
    },
    "additionalProperties": False,
    "anyOf": [{"required": ["text"]}, {"required": ["chapters"]}],
}


@dataclass(frozen=True)
class SpeechPart:
    """What is said in one go. Its title is not."""

    title: str
    request: SpeechRequest


@dataclass
class Spoken:
    """Sentences in order, where among them the chapters begin, and who spoke them."""

    model: str
    backend: str
    sounds: list[Sound] = field(default_factory=list)
    chapters: list[Chapter] = field(default_factory=list)


def speech_tool(deps: MediaToolDeps) -> Tool:
    """Build the tool that speaks, and stores the sound as an artifact."""
    return build_media_tool(
        deps,
        "speech",
        "Read a text aloud. Gives the sound as an artifact with its URL and length.",
        PARAMETERS,
        _read_aloud,
        addresses=("reference",),
    )


async def _read_aloud(arguments: dict[str, Any], call: MediaCall) -> dict[str, Any]:
    parts = await _build_parts(arguments, call)

    async def speak(lease: Lease) -> Spoken:
        return await _speak_parts(lease, parts, call)

    spoken = await call.run_with_model(arguments["model"], "speech", speak)
    if not spoken.sounds:
        raise Unavailable(f"Model '{spoken.model}' said nothing.", code="response_empty")
    return await _store(spoken, arguments, call)


async def _build_parts(arguments: dict[str, Any], call: MediaCall) -> list[SpeechPart]:
    parts = arguments.get("chapters") or [{"text": arguments["text"]}]
    if sum(len(part["text"]) for part in parts) > MAX_CHARACTERS:
        raise Invalid(
            f"At most {MAX_CHARACTERS} characters are spoken in one call; split the text.",
            code="too_large",
            details={"field": "chapters", "tool": "speech"},
        )
    manner = pick_arguments(arguments, "voice", "language", "speed")
    if reference := arguments.get("reference"):
        file = await call.read_file(reference, "reference")
        manner["reference"] = await call.media.cut_reference(file.data)
    return [
        SpeechPart(part.get("title", ""), SpeechRequest(part["text"], **manner)) for part in parts
    ]


async def _speak_parts(lease: Lease, parts: list[SpeechPart], call: MediaCall) -> Spoken:
    spoken = Spoken(lease.model.name, lease.model.backend)
    seconds = 0.0
    for number, part in enumerate(parts, 1):
        first = len(spoken.sounds)
        async with aclosing(lease.speech.speak(part.request)) as stream:
            async for sound in stream:
                spoken.sounds.append(sound)
                seconds += sound.seconds
                call.context.send_event("progress", sentence=sound.text, spoken_s=round(seconds, 1))
        if len(spoken.sounds) > first:
            spoken.chapters.append(Chapter(part.title or f"{number}", first))
        if len(parts) > 1:
            call.context.send_event("progress", done=number, total=len(parts))
    return spoken


async def _store(spoken: Spoken, arguments: dict[str, Any], call: MediaCall) -> dict[str, Any]:
    marks = spoken.chapters if arguments.get("chapters") else []
    title = arguments.get("title", "")
    file = await call.media.encode(
        spoken.sounds,
        arguments["format"],
        pause_s=PAUSE_S,
        chapters=marks,
        tags={"title": title} if title else None,
    )
    about = {
        "tool": "speech",
        "name": title,
        "model": spoken.model,
        "backend": spoken.backend,
        "text": " ".join(sound.text for sound in spoken.sounds)[:MAX_PROVENANCE_CHARS],
        "settings": pick_arguments(arguments, "voice", "language", "speed", "format"),
    }
    seconds = round(file.seconds, 3)
    artifact = await call.store_artifact(file.data, file.media_type, about, seconds=seconds)
    times = _list_times(spoken.sounds, marks, file)
    return {"artifact": artifact, "seconds": seconds, **times, "model": spoken.model}


def _list_times(
    sounds: list[Sound], marks: list[Chapter], file: EncodedSound
) -> dict[str, list[dict[str, Any]]]:
    """List where in the sound each sentence and each chapter begins and ends."""
    ends = [*(file.starts[mark.part] for mark in marks[1:]), file.seconds]
    return {
        "sentences": [
            _time_entry("text", sound.text, start, start + sound.seconds)
            for sound, start in zip(sounds, file.starts, strict=True)
        ],
        "chapters": [
            _time_entry("title", mark.title, file.starts[mark.part], end)
            for mark, end in zip(marks, ends, strict=False)
        ],
    }


def _time_entry(key: str, text: str, start_s: float, end_s: float) -> dict[str, Any]:
    return {key: text, "start_s": round(start_s, 3), "end_s": round(end_s, 3)}
