"""From a document's bytes to a draft: text cut into passages, ready to be embedded and committed.

Leaves the formats to `reading`, in its own worker, and pictures to the model behind
`CaptionPicture`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from config.errors import Invalid, MotetError
from indexes.reading.reader import READER_VERSION, DocumentReader, ParsedDocument
from indexes.records import Draft, FileState, IndexRecord


@dataclass(frozen=True, slots=True)
class PictureCaption:
    """What a model sees in a picture, and which model that was."""

    text: str
    model: str


CaptionPicture = Callable[[bytes, str], Awaitable[PictureCaption]]
"""Describes a picture for a tenant. Raises a `MotetError` if it cannot."""


def recipe(record: IndexRecord) -> str:
    """Name how documents of an index are read and cut; another recipe makes other passages."""
    return f"{READER_VERSION}:{record.spec.chunk_words}"


@dataclass(frozen=True, slots=True)
class RawDocument:
    """A document as it came. `origin` is the folder it was found in, or "" for an upload."""

    origin: str
    source: str
    filename: str
    media_type: str | None
    data: bytes
    state: FileState


@dataclass(frozen=True, slots=True)
class DraftReader:
    """Reads documents into drafts."""

    reader: DocumentReader
    caption: CaptionPicture | None

    async def read(self, record: IndexRecord, raw: RawDocument) -> Draft:
        """Read and cut a document as its index demands. Raises `Invalid` if it cannot be read."""
        reading = await self._read(record, raw)
        return Draft(
            origin=raw.origin,
            source=raw.source,
            title=reading.title,
            media_type=reading.media_type,
            text=reading.text,
            state=raw.state,
            metadata=reading.metadata,
            chunks=reading.chunks,
        )

    async def _read(self, record: IndexRecord, raw: RawDocument) -> ParsedDocument:
        """Read a document as text; a picture as its caption, which is marked as such."""
        chunk_words = record.spec.chunk_words
        arguments = (raw.data, raw.filename, raw.media_type, chunk_words)
        try:
            return await self.reader.read(*arguments, tenant=record.tenant)
        except Invalid as error:
            if error.code != "needs_caption_model" or self.caption is None:
                raise
            caption = await self._caption(raw.data, record.tenant, self.caption, error)
        reading = await self.reader.read(*arguments, tenant=record.tenant, caption=caption.text)
        reading.metadata["captioned_by"] = caption.model
        return reading

    async def _caption(
        self, data: bytes, tenant: str, caption: CaptionPicture, needed: Invalid
    ) -> PictureCaption:
        try:
            return await caption(data, tenant)
        except Invalid:
            raise
        except MotetError as error:
            # As `Invalid` it fails this document alone: the next ones may not need that model.
            raise Invalid(
                f"{needed.message} {error.message}", code=needed.code, details=needed.details
            ) from error
