"""Reading a text aloud."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from config.errors import Invalid, Unavailable
from models.capabilities import Sound, SpeechRequest
from models.lease import Lease
from tools.media import MEDIA_TYPES, Chapter, EncodedSound
from tools.media_deps import (
    MEDIA_CALL_TIMEOUT_S,
    MediaToolDeps,
    model_argument,
    pick_arguments,
    run_with_model,
    store_artifact,
)
from tools.references import REFERENCE
from tools.spec import Tool, ToolContext

MAX_CHARACTERS = 60_000
"""About an hour of speech."""
PAUSE_S = 0.3

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
            **REFERENCE,
            "description": "A recording of the voice to speak with, where the model can imitate "
            "one. " + REFERENCE["description"],
        },
        "format": {"type": "string", "enum": list(MEDIA_TYPES), "default": "mp3"},
        "model": model_argument("voice", "Which model speaks"),
    },
    "additionalProperties": False,
    "anyOf": [{"required": ["text"]}, {"required": ["chapters"]}],
}


@dataclass(frozen=True)
class Part:
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


def speech_tool(making: MediaToolDeps) -> Tool:
    """Speaks, and keeps the sound as an artifact."""

    async def run(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        parts = await _parts(arguments, making, context)

        async def speak(lease: Lease) -> Spoken:
            return await _spoken(lease, parts, context)

        spoken = await run_with_model(making, arguments["model"], "speech", context, speak)
        if not spoken.sounds:
            raise Unavailable(f"Model '{spoken.model}' said nothing.", code="response_empty")
        return await _kept(spoken, arguments, making, context)

    return Tool(
        name="speech",
        description="Read a text aloud. Gives the sound as an artifact with its URL and length.",
        parameters=PARAMETERS,
        run=run,
        repeatable=True,
        timeout_s=MEDIA_CALL_TIMEOUT_S,
    )


async def _parts(
    arguments: dict[str, Any], making: MediaToolDeps, context: ToolContext
) -> list[Part]:
    parts = arguments.get("chapters") or [{"text": arguments["text"]}]
    if sum(len(part["text"]) for part in parts) > MAX_CHARACTERS:
        raise Invalid(
            f"At most {MAX_CHARACTERS} characters are spoken in one call; split the text.",
            code="too_large",
            details={"field": "chapters", "tool": "speech"},
        )
    how = pick_arguments(arguments, "voice", "language", "speed")
    if named := arguments.get("reference"):
        file = await making.files.read(named, field="reference", tenant=context.tenant)
        how["reference"] = await making.media.cut_reference(file.data)
    return [Part(part.get("title", ""), SpeechRequest(part["text"], **how)) for part in parts]


async def _spoken(lease: Lease, parts: list[Part], context: ToolContext) -> Spoken:
    spoken = Spoken(lease.model.name, lease.model.backend)
    seconds = 0.0
    for number, part in enumerate(parts, 1):
        first = len(spoken.sounds)
        async with aclosing(lease.speech.speak(part.request)) as stream:
            async for sound in stream:
                spoken.sounds.append(sound)
                seconds += sound.seconds
                context.tell("progress", sentence=sound.text, spoken_s=round(seconds, 1))
        if len(spoken.sounds) > first:
            spoken.chapters.append(Chapter(part.title or f"{number}", first))
        if len(parts) > 1:
            context.tell("progress", done=number, total=len(parts))
    return spoken


async def _kept(
    spoken: Spoken, arguments: dict[str, Any], making: MediaToolDeps, context: ToolContext
) -> dict[str, Any]:
    marks = spoken.chapters if arguments.get("chapters") else []
    title = arguments.get("title", "")
    made = await making.media.encode(
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
        "text": " ".join(sound.text for sound in spoken.sounds)[:2000],
        "settings": pick_arguments(arguments, "voice", "language", "speed", "format"),
    }
    seconds = round(made.seconds, 3)
    artifact = await store_artifact(
        making, made.data, made.media_type, context, about, seconds=seconds
    )
    places = _places(spoken.sounds, marks, made)
    return {"artifact": artifact, "seconds": seconds, **places, "model": spoken.model}


def _places(
    sounds: list[Sound], marks: list[Chapter], made: EncodedSound
) -> dict[str, list[dict[str, Any]]]:
    """Where in the sound each sentence and each chapter stands."""
    ends = [*(made.starts[mark.part] for mark in marks[1:]), made.seconds]
    return {
        "sentences": [
            _place("text", sound.text, start, start + sound.seconds)
            for sound, start in zip(sounds, made.starts, strict=True)
        ],
        "chapters": [
            _place("title", mark.title, made.starts[mark.part], end)
            for mark, end in zip(marks, ends, strict=False)
        ],
    }


def _place(key: str, text: str, start_s: float, end_s: float) -> dict[str, Any]:
    return {key: text, "start_s": round(start_s, 3), "end_s": round(end_s, 3)}
