"""Requests to add documents: their bodies, and the work on an index that they ask for.

The work is a callable that reports its progress; `http.progress` runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from fastapi import Request
from pydantic import ConfigDict, Field, model_validator
from starlette.datastructures import FormData, UploadFile

from config.errors import Invalid
from indexes.crawls.decisions import Crawl, content_type
from indexes.index import Index
from indexes.reports import IngestFailure, IngestProgress, IngestReport
from server.http.bodies import StrictBody, Texts, parse_json_object
from server.http.progress import ReportProgress
from server.services import Services
from tools.safe_fetch import fetch

MAX_FILES = 1000
MAX_PAGES = 50_000
CRAWL_FIELDS = ("sitemap", "crawl")


class DocumentBody(StrictBody):
    """What to index: a folder of the server, a URL, a text, the pages of a site map, or those
    that a page leads to."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"folder": "/srv/handbook"},
                {"url": "https://example.org/page"},
                {"sitemap": "https://example.org/sitemap.xml", "max_pages": 200},
                {"text": "The office opens at nine.", "source": "hours"},
            ]
        },
    )

    folder: str | None = Field(None, description="A folder on the server's machine.")
    url: str | None = Field(None, description="A page; only public addresses are fetched.")
    text: str | None = None
    sitemap: str | None = Field(None, description="A site map, whose pages are indexed.")
    crawl: str | None = Field(None, description="A page to begin at; its links are followed.")
    source: str | None = Field(None, description="The name that `text` is cited by.")
    title: str | None = Field(None, description="Of a URL or a text.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="Of a URL or a text.")
    max_pages: int = Field(500, ge=1, le=MAX_PAGES, description="Of a crawl.")
    max_depth: int = Field(10, ge=0, le=100, description="Links from the first page of a crawl.")
    hosts: Texts = Field(default_factory=list, max_length=32, description="Further ones.")
    background: bool = Field(
        False, description="Of a folder or a crawl: answer at once, with the ingest's id."
    )

    @model_validator(mode="after")
    def _one_of_five(self) -> Self:
        kinds = ("folder", "url", "text", *CRAWL_FIELDS)
        sent = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(sent) != 1:
            raise ValueError(f"give one of {', '.join(kinds)}")
        if self.text is not None and not self.source:
            raise ValueError("a text needs a source: the name it is cited by")
        if self.background and sent[0] in ("url", "text"):
            raise ValueError(f"a {sent[0]} is not indexed in the background")
        return self

    def to_crawl(self) -> Crawl | None:
        """Make the crawl that the body asks for; None where it asks for something else."""
        bounds = (self.max_pages, self.max_depth, tuple(self.hosts))
        if self.sitemap is not None:
            return Crawl(self.sitemap, "sitemap", *bounds)
        return Crawl(self.crawl, "links", *bounds) if self.crawl is not None else None


async def start_ingest(index: Index, body: DocumentBody, services: Services) -> str:
    """Start an ingest in the background; return its id."""
    if crawl := body.to_crawl():
        return await services.crawler.begin(index, crawl)
    return await index.begin_folder(Path(str(body.folder)))


@dataclass(frozen=True)
class JsonIngest:
    """The work that a body in JSON asks for: a crawl, a folder, or one document."""

    index: Index
    body: DocumentBody
    services: Services

    async def __call__(self, report: ReportProgress) -> IngestReport:
        """Add the documents and report how far that is."""
        if crawl := self.body.to_crawl():
            return await self.services.crawler.crawl(self.index, crawl, on_progress=report)
        if self.body.folder is not None:
            return await self.index.add_folder(Path(self.body.folder), on_progress=report)
        return await self._add_document(report)

    async def _add_document(self, report: ReportProgress) -> IngestReport:
        source, media_type = str(self.body.source), "text/plain"
        data = (self.body.text or "").encode()
        if self.body.url is not None:
            page = await fetch(self.body.url, self.services.fetch_limits)
            source, data = page.url, page.data
            media_type = content_type(page.media_type, page.charset)
        return await self.index.add_document(
            source=source,
            media_type=media_type,
            data=data,
            title=self.body.title,
            metadata=self.body.metadata,
            on_progress=report,
        )


@dataclass(frozen=True)
class FormIngest:
    """The work that a form with files asks for; it closes the form.

    Of several files, those that cannot be read are listed in the report; one alone raises.
    """

    index: Index
    form: FormData
    files: Sequence[UploadFile]
    metadata: dict[str, Any]

    async def __call__(self, report: ReportProgress) -> IngestReport:
        """Add the files and report how far that is."""
        try:
            if len(self.files) == 1:
                return await self._add(self.files[0])
            return await self._add_each(report)
        finally:
            await self.form.close()

    async def _add(self, file: UploadFile) -> IngestReport:
        return await self.index.add_document(
            source=_source(file),
            media_type=file.content_type,
            data=await file.read(),
            metadata=self.metadata,
        )

    async def _add_each(self, report: ReportProgress) -> IngestReport:
        whole = IngestReport(self.index.name)
        for done, file in enumerate(self.files, 1):
            try:
                whole.join(await self._add(file))
            except Invalid as error:
                whole.failed.append(IngestFailure(_source(file), error.code, error.public_message))
            report(IngestProgress(done, len(self.files), whole.passages, whole.passages))
        return whole


async def read_form_ingest(index: Index, request: Request) -> FormIngest:
    """Read a form with files. Raises `Invalid` without a file, or for metadata that is no JSON."""
    form = await request.form(max_files=MAX_FILES)
    try:
        files = _form_files(form)
        return FormIngest(index, form, files, parse_json_object(form.get("metadata"), "metadata"))
    except Invalid:
        await form.close()
        raise


def _form_files(form: FormData) -> list[UploadFile]:
    files = [file for file in form.getlist("files") if isinstance(file, UploadFile)]
    if not files:
        raise Invalid("The form holds no file: send them as `files`.", details={"field": "files"})
    return files


def _source(file: UploadFile) -> str:
    """Name an upload for citations: by its path, which may not lead upwards."""
    parts = (file.filename or "").replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", ".", "..")) or "upload"
