"""Searching, indexing and pictures for tools, graphs and ingests."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from config.errors import Conflict, NotFound, Unavailable
from indexes.ingestion.drafts import PictureCaption
from indexes.service import Index, Indexes
from indexes.spec import index_spec
from models.capabilities import CaptionRequest
from models.manager import Models
from models.output.plain import split_thinking
from tools.artifacts import Artifacts
from tools.media import Media
from tools.media_deps import MediaToolDeps
from tools.references import ReferenceReader, encode_data_url
from tools.registry import WEB_LIMITS, ToolDeps
from tools.safe_fetch import CheckAddress, FetchLimits, allow_address

MAX_FILE_BYTES = 64 * 2**20
"""Bound on a file that is fetched from a URL."""
MAX_CAPTION_SIDE_PX = 1024
"""Larger pictures are scaled down: models that describe them look at no more."""


def media_tool_deps(
    models: Models, media: Media, artifacts: Artifacts, limits: FetchLimits
) -> MediaToolDeps:
    """Collect what the tools for pictures and sound work with."""
    files = ReferenceReader(artifacts, replace(limits, max_bytes=MAX_FILE_BYTES))
    return MediaToolDeps(models, media, artifacts, files)


def tool_deps(indexes: Indexes, limits: FetchLimits, media_tools: MediaToolDeps) -> ToolDeps:
    """Collect what the shipped tools are made of."""
    web = replace(limits, max_bytes=WEB_LIMITS.max_bytes)
    return ToolDeps(PassageSearch(indexes), web, TextAdder(indexes), media_tools)


@dataclass(frozen=True)
class PassageSearch:
    """Searches for the tool `search`: `tools.search.Search`."""

    indexes: Indexes

    async def __call__(
        self,
        names: list[str],
        query: str,
        *,
        limit: int,
        where: Mapping[str, Any] | None,
        tenant: str,
    ) -> dict[str, Any]:
        """Search the indexes and give the passages as JSON, best first."""
        results = await self.indexes.search(names, query, limit=limit, where=where, tenant=tenant)
        gaps = {} if results.complete else results.completeness()
        return {"passages": [passage.as_dict() for passage in results], **gaps}


@dataclass(frozen=True)
class TextAdder:
    """Indexes texts for the tool `index`: `tools.index.Add`."""

    indexes: Indexes

    async def __call__(
        self,
        name: str,
        text: str,
        *,
        source: str,
        title: str | None,
        metadata: Mapping[str, Any],
        create: bool,
        tenant: str,
    ) -> dict[str, Any]:
        """Index a text under its source, in an index that is created first where that is asked."""
        get = self._get_or_create if create else self.indexes.get
        index = await get(name, tenant)
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

    async def _get_or_create(self, name: str, tenant: str) -> Index:
        try:
            return await self.indexes.get(name, tenant)
        except NotFound:
            try:
                return await self.indexes.create(index_spec({"name": name}), tenant)
            except Conflict:  # another run created it between our look and our write
                return await self.indexes.get(name, tenant)


@dataclass(frozen=True)
class PictureCaptioner:
    """Describes the pictures that are indexed: `indexes.ingestion.drafts.CaptionPicture`."""

    models: Models
    media: Media

    async def __call__(self, data: bytes, tenant: str) -> PictureCaption:
        """Describe a picture by the role `vision`.

        Raises `Invalid` for a file that is no picture, `Unavailable` where no model says anything.
        """
        media = self.media.of_tenant(tenant)
        picture = await media.prepare_picture(data, max_side=MAX_CAPTION_SIDE_PX)
        async for attempt in self.models.attempts("vision", "caption", tenant=tenant):
            async with attempt as lease:
                request = CaptionRequest([picture.data])
                async with aclosing(lease.caption.caption(request)) as pieces:
                    text = split_thinking("".join([piece async for piece in pieces])).text
                if text:
                    return PictureCaption(text, lease.model.name)
        raise Unavailable("The model that looks at pictures said nothing.", code="response_empty")


@dataclass(frozen=True)
class PictureReader:
    """Makes a picture part of a prompt: `RunContext.read_picture`."""

    media_tools: MediaToolDeps

    async def __call__(
        self, value: Any, field: str, tenant: str, check: CheckAddress = allow_address
    ) -> str:
        """Read the file that a value refers to and give it as a data URL, fit for a model."""
        files = self.media_tools.files
        file = await files.read(value, field=field, tenant=tenant, check=check)
        media = self.media_tools.media.of_tenant(tenant)
        picture = await media.prepare_picture(file.data)
        return encode_data_url(picture.data, picture.media_type)
