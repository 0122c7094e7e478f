"""The tool `book`: gathers the files of a book, lays it out, stores it as two artifacts.

Layout is `html`'s and `epub`'s matter, the text with its times that of `pages`.
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from typing import Any

from config.errors import Invalid
from models.capabilities import Sound
from models.capabilities.transcribe import RATE
from tools.book.epub import write_epub
from tools.book.html import render_page
from tools.book.pages import Book, Medium, Scene, split_paragraphs
from tools.media import kind_of
from tools.media_deps import MediaCall, MediaToolDeps, build_media_tool
from tools.references import REFERENCE_SCHEMA
from tools.spec import Tool

MAX_SCENES = 200
MAX_BYTES = 160 * 2**20
"""All pictures and sounds together; base64 in the page makes a third more of them."""
MAX_PICTURE_BYTES = 600_000
"""A larger picture is made smaller: the page carries all of them."""
SMALLER_SIDE = 1600
"""Pixels of the longer side then."""
TIMEOUT_S = 300.0
"""For reading and converting the files of all scenes."""
PICTURES = {"image/png": "png", "image/jpeg": "jpg"}
SOUNDS = {"audio/mpeg": "mp3", "audio/mp4": "m4a"}
"""What every browser and every reader of EPUB plays."""
TEXT = {"type": "string", "maxLength": 500}

SCENE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "maxLength": 100_000, "description": "Blank lines part it."},
        "title": TEXT,
        "image": {**REFERENCE_SCHEMA, "type": ["string", "object", "null"]},
        "alt": {"type": "string", "description": "What the picture shows, for who cannot see it."},
        "caption": {"type": "string", "description": "A line below the picture."},
        "audio": {**REFERENCE_SCHEMA, "type": ["string", "object", "null"]},
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


def book_tool(deps: MediaToolDeps) -> Tool:
    """Build the tool that lays scenes out as a book."""
    return build_media_tool(
        deps,
        "book",
        "Make a book of scenes, each a text with a picture and a sound if there are "
        "any: one HTML page that holds everything, and an EPUB.",
        PARAMETERS,
        _make_book,
        timeout_s=TIMEOUT_S,
        addresses=("scenes",),
    )


async def _make_book(arguments: dict[str, Any], call: MediaCall) -> dict[str, Any]:
    book = await _gather(arguments, call)
    # Compressing and encoding all pictures takes seconds: not on the event loop.
    page = await asyncio.to_thread(render_page, book)
    file = await asyncio.to_thread(write_epub, book)
    about = {"tool": "book", "name": book.title}
    return {
        "html": await call.store_artifact(page, "text/html;charset=utf-8", about),
        "epub": await call.store_artifact(file, "application/epub+zip", about),
        "title": book.title,
        "pictures": len(book.pictures),
        "sounds": len(book.sounds),
        "seconds": round(book.seconds, 1),
    }


async def _gather(arguments: dict[str, Any], call: MediaCall) -> Book:
    scenes = []
    total_bytes = 0
    for number, fields in enumerate(arguments["scenes"], 1):
        scene = await _build_scene(number, fields, call)
        total_bytes += sum(len(each.data) for each in (scene.picture, scene.sound) if each)
        # Checked with each scene, so that a book too large is refused before all of it is held.
        if total_bytes > MAX_BYTES:
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


async def _build_scene(number: int, fields: dict[str, Any], call: MediaCall) -> Scene:
    sound = await _read_sound(number, fields, call)
    # Without a sound nothing is read aloud: the sentences' times belong to no place.
    sentences = (fields.get("sentences") or []) if sound else []
    return Scene(
        number=number,
        title=fields.get("title") or "",
        paragraphs=split_paragraphs(fields["text"], sentences),
        alt=fields.get("alt") or "",
        caption=fields.get("caption") or "",
        picture=await _read_picture(number, fields.get("image"), call),
        sound=sound,
    )


async def _read_picture(number: int, value: Any, call: MediaCall) -> Medium | None:
    if not value:
        return None
    picture = await call.read_picture(value, f"scenes.{number - 1}.image")
    if len(picture.data) > MAX_PICTURE_BYTES:
        picture = await call.media.prepare_picture(
            picture.data, max_side=SMALLER_SIDE, flatten=True, format="jpeg"
        )
    name = f"picture-{number}.{PICTURES[picture.media_type]}"
    return Medium(picture.data, picture.media_type, name, picture.width, picture.height)


async def _read_sound(number: int, fields: dict[str, Any], call: MediaCall) -> Medium | None:
    value = fields.get("audio")
    if not value:
        return None
    file = await call.read_file(value, f"scenes.{number - 1}.audio")
    data, kind = file.data, kind_of(file.data) or file.media_type
    seconds = fields.get("seconds") or (value.get("seconds") if isinstance(value, dict) else None)
    if kind not in SOUNDS or seconds is None:
        data, kind, seconds = await _convert_to_mp3(data, call)
    return Medium(data, kind, f"sound-{number}.{SOUNDS[kind]}", seconds=float(seconds))


async def _convert_to_mp3(data: bytes, call: MediaCall) -> tuple[bytes, str, float]:
    """Return the sound as MP3, its media type and its length in seconds."""
    recording = await call.media.decode_samples(data)
    file = await call.media.encode([Sound(recording.samples, RATE, "")], "mp3")
    return file.data, file.media_type, file.seconds


def _identifier(arguments: dict[str, Any]) -> str:
    return f"urn:sha256:{hashlib.sha256(repr(arguments).encode()).hexdigest()}"
