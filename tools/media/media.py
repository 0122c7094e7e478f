"""The server's end of the workers that handle files of pictures and sound.

Owns bounds on time, size and length; parsing and encoding happen in `worker`, in processes that may
be killed. A file that breaks its parser is `Invalid`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from config.errors import Invalid, nearest
from config.quotas import Quota, Usage
from models.capabilities import Sound
from models.workers.on_demand import OnDemandWorker
from models.workers.parsing import blame_file
from models.workers.process import Reply
from tools.media.pictures import PictureFacts, PictureFormat, PreparedPicture
from tools.media.sounds import (
    MEDIA_TYPES,
    TAGS,
    Chapter,
    EncodedSound,
    ListenedSound,
    SoundFacts,
    SoundFormat,
)

MEMORY_BYTES = 2 * 2**30
"""The most that a worker may take."""
TIMEOUT_S = 30.0
"""For any file."""
TIMEOUT_PER_MIB_S = 2.0
"""In addition for each MiB of a file."""

MAX_SOURCE_PIXELS = 80_000_000
"""Of a file as it is given: decoded it takes up to four bytes a pixel, twice."""
MAX_SIDE = 2048
"""Pixels of a prepared picture's longer side: models look at less."""
THUMBNAIL_SIDE = 320
MAX_LISTENED_S = 2 * 3600.0
"""Of a recording to transcribe."""
MAX_REFERENCE_S = 30.0
"""Of a voice to imitate; the rest is left out."""
MAX_ENCODED_S = 4 * 3600.0
"""Of a file of sound made of parts."""
MAX_PAUSE_S = 60.0
MAX_TAG_CHARS = 1000


class Media:
    """Owns the bounded processes that read and make files of pictures and sound. `close` ends them.

    Pictures and sounds wait for their like, not for each other; tenants take turns, each with as
    many calls as `quota` lets it have.
    """

    def __init__(
        self,
        *,
        timeout_s: float = TIMEOUT_S,
        memory_bytes: int = MEMORY_BYTES,
        quota: Quota | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        self.usage = Usage(quota) if quota else None
        self.pictures = _build_worker("PictureHandler", "media pictures", memory_bytes)
        self.sounds = _build_worker("SoundHandler", "media sounds", memory_bytes)

    def of_tenant(self, tenant: str) -> TenantMedia:
        """Return the calls for a tenant's files."""
        return TenantMedia(self, tenant)

    async def close(self) -> None:
        """End the processes; what is in progress fails with `Unavailable`."""
        await self.pictures.close()
        await self.sounds.close()


@dataclass(frozen=True, slots=True)
class TenantMedia:
    """Reads and makes a tenant's files of pictures and sound in the processes of `workers`.

    Its methods raise `Invalid`: `unreadable_image`, `unreadable_audio`, and `too_large` with the
    numbers; and `Busy` (`quota_exceeded`).
    """

    workers: Media
    tenant: str

    async def prepare_picture(
        self,
        data: bytes,
        *,
        max_side: int = MAX_SIDE,
        max_pixels: int | None = None,
        flatten: bool = False,
        format: PictureFormat | None = None,
        max_source_pixels: int = MAX_SOURCE_PIXELS,
    ) -> PreparedPicture:
        """Make the first picture of a PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF file fit for use.

        It is scaled down to `max_side` and `max_pixels`, never up. `flatten` puts white behind what
        is transparent. Without a `format` a JPEG stays one and all else becomes PNG.
        """
        header = {
            "max_side": max_side,
            "max_pixels": max_pixels,
            "flatten": flatten,
            "format": format,
            "max_source_pixels": max_source_pixels,
        }
        return _prepared_picture(await self._call_pictures("prepare", header, data))

    async def make_thumbnail(self, data: bytes, *, side: int = THUMBNAIL_SIDE) -> PreparedPicture:
        """Make a small JPEG of a picture."""
        return await self.prepare_picture(data, max_side=side, flatten=True, format="jpeg")

    async def prepare_mask(self, data: bytes, *, width: int, height: int) -> PreparedPicture:
        """Make a mask as `ImageRequest` takes it, of the size of the picture that it is for.

        White is what is drawn anew. In a file with transparent parts it is those. Raises `Invalid`
        (`empty_mask`) when nothing is.
        """
        header = {"width": width, "height": height, "max_source_pixels": MAX_SOURCE_PIXELS}
        return _prepared_picture(await self._call_pictures("mask", header, data))

    async def decode_samples(
        self, data: bytes, *, max_seconds: float = MAX_LISTENED_S
    ) -> ListenedSound:
        """Decode a WAV, FLAC, MP3, Ogg (Vorbis, Opus) or AIFF file as `TranscribeRequest`
        takes it.
        """
        reply = await self._call_sounds("listen", {"max_seconds": max_seconds}, data)
        return ListenedSound(
            reply.body, reply.header["seconds"], SoundFacts(**reply.header["original"])
        )

    async def cut_reference(self, data: bytes, *, max_seconds: float = MAX_REFERENCE_S) -> bytes:
        """Cut the beginning of such a file as a mono WAV file: `SpeechRequest.reference`."""
        return (await self._call_sounds("reference", {"max_seconds": max_seconds}, data)).body

    async def encode(
        self,
        parts: Sequence[Sound],
        format: SoundFormat = "wav",
        *,
        pause_s: float = 0.0,
        chapters: Sequence[Chapter] = (),
        tags: Mapping[str, str] | None = None,
        max_seconds: float = MAX_ENCODED_S,
    ) -> EncodedSound:
        """Encode the parts as one file, with `pause_s` of silence between them.

        Parts of another rate than the first are brought to it. Chapters are written into MP3 and
        FLAC files; `tags` are of `TAGS`. Raises `Invalid` for no parts, and for a wrong format,
        chapter or tag; `Unavailable` or `TimedOut` when it fails.
        """
        _check_encoding(parts, format, chapters, tags or {})
        _check_length(parts, pause_s, max_seconds)
        header = {
            "parts": [[len(part.samples), part.rate] for part in parts],
            "format": format,
            "pause_s": pause_s,
            "chapters": [[_tag_text(chapter.title), chapter.part] for chapter in chapters],
            "tags": {name: _tag_text(text) for name, text in (tags or {}).items()},
        }
        # An hour of sound is some hundred MB: joining it would block the event loop.
        body = await asyncio.to_thread(b"".join, [part.samples for part in parts])
        reply = await self._call(self.workers.sounds, "encode", header, body)
        facts = reply.header
        return EncodedSound(
            reply.body, MEDIA_TYPES[format], facts["rate"], facts["seconds"], tuple(facts["starts"])
        )

    async def _call_pictures(self, method: str, header: dict[str, Any], data: bytes) -> Reply:
        with blame_file(partial(_unreadable, "image"), self._timeout_for(data)):
            return await self._call(self.workers.pictures, method, header, data)

    async def _call_sounds(self, method: str, header: dict[str, Any], data: bytes) -> Reply:
        with blame_file(partial(_unreadable, "audio"), self._timeout_for(data)):
            return await self._call(self.workers.sounds, method, header, data)

    async def _call(
        self, worker: OnDemandWorker, method: str, header: dict[str, Any], data: bytes
    ) -> Reply:
        usage, timeout_s = self.workers.usage, self._timeout_for(data)
        with usage.hold(self.tenant) if usage else nullcontext():
            return await worker.call(method, header, data, timeout_s=timeout_s, client=self.tenant)

    def _timeout_for(self, data: bytes) -> float:
        return self.workers.timeout_s + TIMEOUT_PER_MIB_S * len(data) / 2**20


def _build_worker(handler: str, name: str, memory_bytes: int) -> OnDemandWorker:
    return OnDemandWorker(
        f"tools.media.worker:{handler}",
        name=name,
        options={"memory_bytes": memory_bytes},
        threads=1,
    )


def _unreadable(field: str, why: str) -> Invalid:
    return Invalid(
        f"This file cannot be read: {why}.", code=f"unreadable_{field}", details={"field": field}
    )


def _prepared_picture(reply: Reply) -> PreparedPicture:
    about = reply.header
    return PreparedPicture(
        reply.body,
        about["media_type"],
        about["width"],
        about["height"],
        PictureFacts(**about["original"]),
    )


def _check_encoding(
    parts: Sequence[Sound], format: str, chapters: Sequence[Chapter], tags: Mapping[str, str]
) -> None:
    if format not in MEDIA_TYPES:
        hint = nearest(format, list[str](MEDIA_TYPES))
        raise _invalid("format", f"'{format}' is no format of sound. {hint}")
    if not parts:
        raise _invalid("parts", "There is nothing to make a file of: no part was spoken.")
    for name in tags:
        if name not in TAGS:
            raise _invalid("tags", f"'{name}' is no tag. {nearest(name, TAGS)}")
    numbers = [chapter.part for chapter in chapters]
    if numbers != sorted(set(numbers)) or not all(0 <= n < len(parts) for n in numbers):
        raise _invalid("chapters", f"Chapters begin in order at parts 0 to {len(parts) - 1}.")


def _check_length(parts: Sequence[Sound], pause_s: float, max_seconds: float) -> None:
    if not 0 <= pause_s <= MAX_PAUSE_S:
        raise _invalid("pause_s", f"A pause has 0 to {MAX_PAUSE_S:g} s, not {pause_s:g}.")
    seconds = sum(part.seconds for part in parts) + pause_s * (len(parts) - 1)
    if seconds > max_seconds:
        raise Invalid(
            f"A file of sound has at most {max_seconds:g} s; this would have {seconds:.0f} s.",
            code="too_large",
            details={"seconds": seconds, "max_seconds": max_seconds},
        )


def _tag_text(text: str) -> str:
    """Make a text fit for a tag: one line of bounded length, without halves of surrogate pairs."""
    whole = text[:MAX_TAG_CHARS].encode(errors="replace").decode().replace("\0", " ")
    return " ".join(whole.split())


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(message, details={"field": field})
