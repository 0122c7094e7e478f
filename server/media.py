"""What tools, graphs and indexes are given to look at pictures, to draw, speak and listen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from config.errors import Conflict, NotFound, Unavailable
from indexes.ingestion.drafts import CaptionPicture, PictureCaption
from indexes.service import Index, Indexes
from indexes.spec import index_spec
from models.capabilities import CaptionRequest
from models.manager import Models
from tools.artifacts import Artifacts
from tools.index import Add
from tools.media import Media
from tools.media_deps import MediaToolDeps
from tools.references import ReferenceReader, encode_data_url
from tools.registry import WEB_LIMITS, ToolDeps
from tools.safe_fetch import FetchLimits

FILE_BYTES = 64 * 2**20
"""Bound on a file that is fetched from a URL."""

Picture = Callable[[Any, str, str], Awaitable[str]]


def making_of(
    models: Models, media: Media, artifacts: Artifacts, limits: FetchLimits
) -> MediaToolDeps:
    """What the tools for pictures and sound work with."""
    files = ReferenceReader(artifacts, replace(limits, max_bytes=FILE_BYTES))
    return MediaToolDeps(models, media, artifacts, files)


def tool_parts(indexes: Indexes, limits: FetchLimits, making: MediaToolDeps) -> ToolDeps:
    """What the shipped tools are made of."""

    async def search(
        names: list[str], query: str, *, limit: int, where: Mapping[str, Any] | None, tenant: str
    ) -> list[dict[str, Any]]:
        found = await indexes.search(names, query, limit=limit, where=where, tenant=tenant)
        return [passage.as_dict() for passage in found]

    web = FetchLimits(WEB_LIMITS.max_bytes, allowed_networks=limits.allowed_networks)
    return ToolDeps(search, web, _adder(indexes), making)


def _adder(indexes: Indexes) -> Add:
    async def add(
        name: str,
        text: str,
        *,
        source: str,
        title: str | None,
        metadata: Mapping[str, Any],
        create: bool,
        tenant: str,
    ) -> dict[str, Any]:
        index = await (
            _get_or_create(indexes, name, tenant) if create else indexes.get(name, tenant)
        )
        report = await index.add_document(
            source=source,
            media_type="text/plain",
            data=text.encode(),
            title=title,
            metadata=metadata,
        )
        return {
            "index": name,
            "document": report.documents[0],
            "source": source,
            "unchanged": bool(report.unchanged),
        }

    return add


async def _get_or_create(indexes: Indexes, name: str, tenant: str) -> Index:
    try:
        return await indexes.get(name, tenant)
    except NotFound:
        try:
            return await indexes.create(index_spec({"name": name}), tenant)
        except Conflict:  # another run created it meanwhile
            return await indexes.get(name, tenant)


def captions_of(models: Models, media: Media) -> CaptionPicture:
    """What looks at the pictures that are indexed."""

    async def caption(data: bytes, tenant: str) -> PictureCaption:
        picture = await media.prepare_picture(data, max_side=1024)
        async for attempt in models.attempts("vision", "caption", tenant=tenant):
            async with attempt as lease:
                request = CaptionRequest([picture.data])
                async with aclosing(lease.caption.caption(request)) as pieces:
                    text = "".join([piece async for piece in pieces]).strip()
                if text:
                    return PictureCaption(text, lease.model.name)
        raise Unavailable("The model that looks at pictures said nothing.", code="response_empty")

    return caption


def pictures_of(making: MediaToolDeps) -> Picture:
    """What makes a picture part of a prompt: a data URL of a file that a value refers to."""

    async def picture(value: Any, field: str, tenant: str) -> str:
        file = await making.files.read(value, field=field, tenant=tenant)
        made = await making.media.prepare_picture(file.data)
        return encode_data_url(made.data, made.media_type)

    return picture
