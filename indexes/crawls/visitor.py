"""One crawl under way: from page to page, each kept as a document."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from config.errors import Busy, Invalid, MotetError, NotFound
from indexes.crawls.decisions import (
    HTML,
    Crawl,
    Links,
    SiteMap,
    canonical,
    content_type,
    links,
    site_map,
)
from indexes.crawls.frontier import Frontier
from indexes.crawls.polite_fetcher import CrawlLimits, Fetch, Page, PoliteFetcher
from indexes.index import Index
from indexes.reading.reader import READER_VERSION
from indexes.records import Document, IngestFailure, IngestReport, OnProgress, Progress

DOCUMENTS_PAGE = 1000
"""Documents of earlier crawls that are listed by one query."""


@dataclass(slots=True)
class CrawlReport(IngestReport):
    """An ingest's report. `skipped` addresses did not belong to the crawl or asked to be left
    out; `stopped` names the bound that ended it early: `max_pages`, `max_bytes`, `timeout`."""

    skipped: int = 0
    stopped: str | None = None


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
        self._there: set[str] = set()
        self._gone: set[str] = set()
        self._whole = True
        self._pages_done = self._pages_total = 0

    async def run(self) -> CrawlReport:
        """Visit them all, within the limits; then forget what is gone."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self._recall()
        try:
            async with asyncio.timeout(self._limits.timeout_s) as deadline:
                await self._go()
        except TimeoutError:
            if not deadline.expired():
                raise
            self._stop("timeout")
        if self._frontier.full:
            self._stop("max_pages")
        await self._forget()
        self._report.skipped = self._frontier.skipped
        self._report.elapsed_s = loop.time() - began
        return self._report

    async def _recall(self) -> None:
        """What earlier crawls from the same start have left in the index."""
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

    async def _go(self) -> None:
        start = self._frontier.start
        if self._crawl.kind == "sitemap":
            await self._visit_all(self._frontier.take(await self._mapped(start)))
            return
        level = self._frontier.take([start]) or [start]
        for _ in range(self._crawl.max_depth):
            level = self._frontier.take(await self._visit_all(level))
        await self._visit_all(level)

    async def _mapped(self, start: str) -> list[str]:
        """The pages that the site map lists, and those that it names."""
        pages: dict[str, None] = {}
        maps = [start]
        for at, url in enumerate(maps):
            if at >= self._limits.max_maps or len(pages) > self._crawl.max_pages:
                self._frontier.full = True
                break
            try:
                found = await self._read_map(url)
            except MotetError as error:
                if url == start:
                    raise
                self._whole = False
                self._failed(url, error)
                continue
            pages |= dict.fromkeys(found.pages)
            maps += [
                each for each in found.maps if each not in maps and self._frontier.belongs(each)
            ]
        return list(pages)

    async def _read_map(self, url: str) -> SiteMap:
        page = await self._fetcher.page(url)
        self._frontier.arrive(url, canonical(page.url) or url)
        most = self._crawl.max_pages + 1
        return await asyncio.to_thread(site_map, page.data, url, most, self._limits.map_bytes)

    async def _visit_all(self, urls: list[str]) -> list[str]:
        """Visit pages, some at once; what they lead to."""
        if not urls:
            return []
        self._pages_total += len(urls)
        waiting, found = iter(urls), list[str]()
        tasks = [
            asyncio.create_task(self._worker(waiting, found), name=f"crawl {self._index.name} {n}")
            for n in range(min(self._limits.at_once, len(urls)))
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return list(dict.fromkeys(found))

    async def _worker(self, waiting: Iterator[str], found: list[str]) -> None:
        for url in waiting:
            if self._fetcher.fetched_bytes > self._limits.max_bytes:
                self._stop("max_bytes")
                return
            found += await self._visit(url)
            self._pages_done += 1
            passages = self._report.passages
            self._on_progress(Progress(self._pages_done, self._pages_total, passages, passages))

    async def _visit(self, url: str) -> list[str]:
        """Index one page; what it leads to."""
        try:
            page = await self._page(url)
        except MotetError as error:
            if url == self._frontier.start:
                raise
            self._failed(url, error)
            return []
        if page is None:
            return []
        source = canonical(page.url) or url
        found = await _links(page, source)
        if found.index:
            await self._keep(source, page)
        else:
            self._frontier.skip(url)
        return found.urls

    async def _page(self, url: str) -> Page | None:
        """The page, unless its host asks to leave it out or it leads to where another did."""
        if not await self._may_visit(url):
            return None
        page = await self._fetcher.page(url, *self._validators(url))
        led_to = canonical(page.url) or url
        arrived = self._frontier.arrive(url, led_to)
        return page if arrived and await self._may_visit(led_to) else None

    async def _may_visit(self, url: str) -> bool:
        if await self._fetcher.may_visit(url):
            return True
        self._frontier.skip(url)
        return False

    def _validators(self, url: str) -> tuple[str | None, str | None]:
        """Only of a site map's pages: the links of a page that does not come are not known."""
        document = self._known.get(url)
        if document is None or self._crawl.kind == "links" or not self._is_current(document):
            return None, None
        fetched = document.metadata["fetched"]
        return fetched.get("etag"), fetched.get("last_modified")

    def _is_current(self, document: Document) -> bool:
        """Whether it was read and cut as it would be today."""
        fetched = document.metadata.get("fetched")
        return isinstance(fetched, dict) and fetched.get("recipe") == self._recipe

    async def _keep(self, source: str, page: Page) -> None:
        """Index what came, unless it is known as it is."""
        self._there.add(source)
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
            self._report.failed.append(IngestFailure(source, error.code, error.message))
        else:
            self._report.join(part)

    async def _forget(self) -> None:
        """Remove what is gone: pages that their host says it has not, and, where the crawl was
        whole, those that nothing leads to any more."""
        for source, document in self._known.items():
            unreached = self._whole and source not in self._there
            if source in self._gone or unreached:
                with suppress(NotFound):
                    await self._index.delete_document(document.id)
                    self._report.removed += 1

    def _failed(self, url: str, error: MotetError) -> None:
        if isinstance(error, NotFound) and url in self._known:
            self._gone.add(url)
            return
        self._report.failed.append(IngestFailure(url, error.code, error.message))
        if isinstance(error, Invalid):
            self._there.add(url)
        elif not isinstance(error, NotFound):
            # It may be there again, and whatever it leads to.
            self._whole = False

    def _stop(self, why: str) -> None:
        self._whole = False
        self._report.stopped = why


async def _links(page: Page, url: str) -> Links:
    if page.media_type not in HTML or page.unchanged:
        return Links()
    return await asyncio.to_thread(links, page.data, url, page.charset)
