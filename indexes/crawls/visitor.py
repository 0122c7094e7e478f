"""Visits the pages of one crawl, and indexes each as a document.

Owns the way from page to page, what of earlier crawls is unchanged or missing, and the report.

Invariant: a document of an earlier crawl is removed only if its host says that the page is gone
(404, 410), or if this crawl was complete and met no link to it. Whatever fails or is cut short
makes the crawl incomplete.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from config.errors import Busy, Invalid, MotetError, NotFound
from indexes.crawls.decisions import (
    HTML_TYPES,
    Crawl,
    PageLinks,
    SiteMap,
    canonical,
    content_type,
    read_links,
    read_site_map,
)
from indexes.crawls.frontier import Frontier
from indexes.crawls.polite_fetcher import CrawledPage, CrawlLimits, Fetch, PoliteFetcher
from indexes.index import Index
from indexes.reading.reader import READER_VERSION
from indexes.records import Document
from indexes.reports import IngestFailure, IngestProgress, IngestReport, OnProgress

DOCUMENTS_PAGE = 1000
"""Documents of earlier crawls that are listed by one query."""


@dataclass(slots=True)
class CrawlReport(IngestReport):
    """An ingest's report, with what is special to a crawl.

    `skipped` addresses did not belong to it, or their host or page forbids them; `stopped` names
    the bound that ended it early: `max_pages`, `max_bytes`, `timeout`.
    """

    skipped: int = 0
    stopped: str | None = None


class _Validators(NamedTuple):
    """The headers `If-None-Match` and `If-Modified-Since` of a conditional request."""

    etag: str | None
    last_modified: str | None


class SiteVisitor:
    """Visits the pages of `crawl` once, for one index."""

    def __init__(
        self,
        index: Index,
        fetch: Fetch,
        limits: CrawlLimits,
        crawl: Crawl,
        on_progress: OnProgress,
    ) -> None:
        self._index = index
        self._fetcher = PoliteFetcher(fetch, limits)
        self._limits = limits
        self._crawl = crawl
        self._on_progress = on_progress
        self._frontier = Frontier(crawl)
        self._report = CrawlReport(index.name)
        self._recipe = ""
        self._known: dict[str, Document] = {}
        self._reached: set[str] = set()
        """Sources that were met, indexed or not, and stay."""
        self._missing: set[str] = set()
        """Sources of earlier crawls whose host says that it has them no more."""
        self._complete = True
        self._pages_done = self._pages_total = 0

    async def run(self) -> CrawlReport:
        """Visit all pages, within the limits; then remove documents that are missing."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await self._load_known()
        try:
            async with asyncio.timeout(self._limits.timeout_s) as deadline:
                await self._visit_site()
        except TimeoutError:
            if not deadline.expired():
                raise
            self._stop("timeout")
        if self._frontier.full:
            self._stop("max_pages")
        await self._remove_missing()
        self._report.skipped = self._frontier.skipped
        self._report.elapsed_s = loop.time() - began_s
        return self._report

    async def _load_known(self) -> None:
        """Load what earlier crawls from the same start have put into the index."""
        info = await self._index.describe()
        self._recipe = f"{READER_VERSION}:{info.chunk_words}"
        while True:
            page = await self._index.list_documents(
                where={"crawl": self._frontier.start},
                limit=DOCUMENTS_PAGE,
                offset=len(self._known),
            )
            self._known |= {document.source: document for document in page}
            if len(page) < DOCUMENTS_PAGE:
                return

    async def _visit_site(self) -> None:
        start = self._frontier.start
        if self._crawl.kind == "sitemap":
            await self._visit_all(self._frontier.take(await self._read_maps(start)))
            return
        level = self._frontier.take([start]) or [start]
        for _ in range(self._crawl.max_depth):
            level = self._frontier.take(await self._visit_all(level))
        await self._visit_all(level)

    async def _read_maps(self, start: str) -> list[str]:
        """List the pages of a site map, and of those that it names."""
        pages: dict[str, None] = {}
        maps = [start]
        for at, url in enumerate(maps):
            if at >= self._limits.max_maps or len(pages) > self._crawl.max_pages:
                self._frontier.full = True
                break
            try:
                site_map = await self._read_map(url)
            except MotetError as error:
                if url == start:
                    raise
                self._complete = False
                self._note_failure(url, error)
                continue
            pages |= dict.fromkeys(site_map.pages)
            maps += [
                each for each in site_map.maps if each not in maps and self._frontier.belongs(each)
            ]
        return list(pages)

    async def _read_map(self, url: str) -> SiteMap:
        page = await self._fetcher.page(url)
        self._frontier.arrive(url, canonical(page.url) or url)
        # One more than may be visited, so that the frontier sees that there are more.
        max_urls = self._crawl.max_pages + 1
        return await asyncio.to_thread(
            read_site_map, page.data, url, max_urls, self._limits.map_bytes
        )

    async def _visit_all(self, urls: list[str]) -> list[str]:
        """Visit pages, some at once; return what they link to, each once."""
        if not urls:
            return []
        self._pages_total += len(urls)
        # The workers share the iterator: each takes the next page when it is through with one.
        waiting, linked = iter(urls), list[str]()
        tasks = [
            asyncio.create_task(
                self._visit_waiting(waiting, linked), name=f"crawl {self._index.name} {n}"
            )
            for n in range(min(self._limits.at_once, len(urls)))
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return list(dict.fromkeys(linked))

    async def _visit_waiting(self, waiting: Iterator[str], linked: list[str]) -> None:
        for url in waiting:
            if self._fetcher.fetched_bytes > self._limits.max_bytes:
                self._stop("max_bytes")
                return
            linked += await self._visit(url)
            self._pages_done += 1
            passages = self._report.passages
            self._on_progress(
                IngestProgress(self._pages_done, self._pages_total, passages, passages)
            )

    async def _visit(self, url: str) -> list[str]:
        """Index one page; return what it links to."""
        try:
            page = await self._fetch_page(url)
        except MotetError as error:
            if url == self._frontier.start:
                raise
            self._note_failure(url, error)
            return []
        if page is None:
            return []
        source = canonical(page.url) or url
        links = await _read_links(page, source)
        if links.index:
            await self._index_page(source, page)
        else:
            self._frontier.skip(url)
        return links.urls

    async def _fetch_page(self, url: str) -> CrawledPage | None:
        """Fetch a page; None if its host forbids it, or it redirects to one that was visited."""
        if not await self._may_visit(url):
            return None
        page = await self._fetcher.page(url, *self._validators(url))
        led_to = canonical(page.url) or url
        is_new = self._frontier.arrive(url, led_to)
        # A redirect may lead to what robots.txt forbids: it is not indexed.
        return page if is_new and await self._may_visit(led_to) else None

    async def _may_visit(self, url: str) -> bool:
        if await self._fetcher.may_visit(url):
            return True
        self._frontier.skip(url)
        return False

    def _validators(self, url: str) -> _Validators:
        """Return what makes the host answer only if the page has changed.

        For a site map's pages alone: the links of a page that does not come are not known.
        """
        document = self._known.get(url)
        if document is None or self._crawl.kind == "links" or not self._is_current(document):
            return _Validators(None, None)
        fetched = document.metadata["fetched"]
        return _Validators(fetched.get("etag"), fetched.get("last_modified"))

    def _is_current(self, document: Document) -> bool:
        """Say whether a document was read and cut as it would be today."""
        fetched = document.metadata.get("fetched")
        return isinstance(fetched, dict) and fetched.get("recipe") == self._recipe

    async def _index_page(self, source: str, page: CrawledPage) -> None:
        """Index what came, unless it is stored just so."""
        self._reached.add(source)
        known = self._known.get(source)
        hash = hashlib.sha256(page.data).hexdigest()
        if page.unchanged or (known and known.bytes_hash == hash and self._is_current(known)):
            self._report.unchanged += 1
            return
        validators = {"etag": page.etag, "last_modified": page.last_modified}
        try:
            part = await self._index.add_document(
                source=source,
                data=page.data,
                media_type=content_type(page.media_type, page.charset),
                metadata={
                    "crawl": self._frontier.start,
                    "fetched": {**validators, "recipe": self._recipe},
                },
            )
        except (Invalid, Busy) as error:
            self._report.failed.append(IngestFailure(source, error.code, error.public_message))
        else:
            self._report.join(part)

    async def _remove_missing(self) -> None:
        """Remove pages that their host has no more and, after a complete crawl, unlinked ones."""
        for source, document in self._known.items():
            unreached = self._complete and source not in self._reached
            if source in self._missing or unreached:
                with suppress(NotFound):
                    await self._index.delete_document(document.id)
                    self._report.removed += 1

    def _note_failure(self, url: str, error: MotetError) -> None:
        if isinstance(error, NotFound) and url in self._known:
            self._missing.add(url)
            return
        self._report.failed.append(IngestFailure(url, error.code, error.public_message))
        if isinstance(error, Invalid):
            self._reached.add(url)
        elif not isinstance(error, NotFound):
            # The page may be there again next time, and whatever it links to.
            self._complete = False

    def _stop(self, why: str) -> None:
        self._complete = False
        self._report.stopped = why


async def _read_links(page: CrawledPage, url: str) -> PageLinks:
    if page.media_type not in HTML_TYPES or page.unchanged:
        return PageLinks()
    return await asyncio.to_thread(read_links, page.data, url, page.charset)
