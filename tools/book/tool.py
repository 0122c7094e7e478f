"""The tool `book`: gathers what a book is made of, lays it out, keeps it."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from typing import Any

from config.errors import Invalid
from tools.book.epub import epub
from tools.book.html import html
from tools.book.pages import Book, Medium, Scene, paragraphs
from tools.media import kind_of
from tools.media_deps import MediaToolDeps, read_picture, store_artifact
from tools.references import REFERENCE
from tools.spec import Tool, ToolContext

MAX_SCENES = 200
MAX_BYTES = 160 * 2**20
MAX_PICTURE_BYTES = 600_000
"""A picture above it is made smaller: every page carries all of them."""
PICTURES = {"image/png": "png", "image/jpeg": "jpg"}
SOUNDS = {"audio/mpeg": "mp3", "audio/mp4": "m4a"}
"""What every browser and every reader of EPUB plays."""
TEXT = {"type": "string", "maxLength": 500}

SCENE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "maxLength": 100_000, "description": "Blank lines part it."},
        "title": TEXT,
        "image": {**REFERENCE, "type": ["string", "object", "null"]},
        "alt": {"type": "string", "description": "What the picture shows, for who cannot see it."},
        "caption": {"type": "string", "description": "A line below the picture."},
        "audio": {**REFERENCE, "type": ["string", "object", "null"]},
        "seconds": {"type": ["number", "null"], "description": "How long the audio is."},
        "sentences": {
            "type": ["array", "null"],
            "description": "When each sentence is read, as `speech` gives it.",
        },
    },
    "required": ["text"],
    "additionalProperties": False,
}
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {**TEXT, "minLength": 1},
        "scenes": {"type": "array", "minItems": 1, "maxItems": MAX_SCENES, "items": SCENE},
        "subtitle": {**TEXT, "default": ""},
        "author": {**TEXT, "default": ""},
        "language": {"type": "string", "default": "en", "maxLength": 35},
        "credits": {
            "type": "array",
            "items": {"type": "string"},
            "default": [],
            "description": "Who or what made it, in lines.",
        },
    },
    "required": ["title", "scenes"],
    "additionalProperties": False,
}


def book_tool(making: MediaToolDeps) -> Tool:
    """Lays scenes out as a book."""

    async def run(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        book = await _book(arguments, making, context)
        page = await asyncio.to_thread(html, book)
        file = await asyncio.to_thread(epub, book)
        about = {"tool": "book", "name": book.title}
        return {
            "html": await store_artifact(making, page, "text/html;charset=utf-8", context, about),
            "epub": await store_artifact(making, file, "application/epub+zip", context, about),
            "title": book.title,
            "pictures": len(book.pictures),
            "sounds": len(book.sounds),
            "seconds": round(book.seconds, 1),
        }

    return Tool(
        name="book",
        description="Make a book of scenes, each a text with a picture and a sound if there are "
        "any: one HTML page that holds everything, and an EPUB.",
        parameters=PARAMETERS,
        run=run,
        repeatable=True,
        timeout_s=300.0,
    )


async def _book(arguments: dict[str, Any], making: MediaToolDeps, context: ToolContext) -> Book:
    scenes = []
    total = 0
    for number, given in enumerate(arguments["scenes"], 1):
        scene = await _scene(number, given, making, context)
        total += sum(len(each.data) for each in (scene.picture, scene.sound) if each)
        if total > MAX_BYTES:
            raise Invalid(
                f"The pictures and sounds of a book take at most {MAX_BYTES // 2**20} MiB.",
                code="too_large",
                details={"field": "scenes", "max_bytes": MAX_BYTES},
            )
        scenes.append(scene)
    return Book(
        title=arguments["title"].strip(),
        language=arguments["language"],
        scenes=scenes,
        identifier=_identifier(arguments),
        modified=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        subtitle=arguments["subtitle"],
        author=arguments["author"],
        credits=[line for line in arguments["credits"] if line.strip()],
    )


async def _scene(
    number: int, given: dict[str, Any], making: MediaToolDeps, context: ToolContext
) -> Scene:
    sound = await _sound(number, given, making, context)
    return Scene(
        number=number,
        title=given.get("title") or "",
        paragraphs=paragraphs(given["text"], (given.get("sentences") or []) if sound else []),
        alt=given.get("alt") or "",
        caption=given.get("caption") or "",
        picture=await _picture(number, given.get("image"), making, context),
        sound=sound,
    )


async def _picture(
    number: int, value: Any, making: MediaToolDeps, context: ToolContext
) -> Medium | None:
    if not value:
        return None
    made = await read_picture(value, f"scenes.{number - 1}.image", making, context)
    if len(made.data) > MAX_PICTURE_BYTES:
        made = await making.media.prepare_picture(
            made.data, max_side=1600, flatten=True, format="jpeg"
        )
    name = f"picture-{number}.{PICTURES[made.media_type]}"
    return Medium(made.data, made.media_type, name, made.width, made.height)


async def _sound(
    number: int, given: dict[str, Any], making: MediaToolDeps, context: ToolContext
) -> Medium | None:
    value = given.get("audio")
    if not value:
        return None
    field = f"scenes.{number - 1}.audio"
    file = await making.files.read(value, field=field, tenant=context.tenant)
    data, kind = file.data, kind_of(file.data) or file.media_type
    seconds = given.get("seconds") or (value.get("seconds") if isinstance(value, dict) else None)
    if kind not in SOUNDS or seconds is None:
        data, kind, seconds = await _as_mp3(data, making)
    return Medium(data, kind, f"sound-{number}.{SOUNDS[kind]}", seconds=float(seconds))


async def _as_mp3(data: bytes, making: MediaToolDeps) -> tuple[bytes, str, float]:
    from models.capabilities import Sound
    from models.capabilities.transcribe import RATE

    heard = await making.media.decode_samples(data)
    made = await making.media.encode([Sound(heard.samples, RATE, "")], "mp3")
    return made.data, made.media_type, made.seconds


def _identifier(arguments: dict[str, Any]) -> str:
    return f"urn:sha256:{hashlib.sha256(repr(arguments).encode()).hexdigest()}"
