"""Crawls into indexes: the pages of a site map, or those that a page leads to.

Owns the form in which a crawl is recorded, so that the next start can go on with it. Leaves the
going from page to page to `visitor`, and the bookkeeping to the index's ingests.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from indexes.crawls.decisions import Crawl
from indexes.crawls.polite_fetcher import CrawlLimits, Fetch
from indexes.crawls.visitor import SiteVisitor
from indexes.index import Index
from indexes.ingestion.jobs import Work
from indexes.library import Indexes
from indexes.reports import IngestReport, OnProgress, ignore_progress


class Crawler:
    """Crawls into indexes. An accepted crawl is finished, over restarts too.

    Every request goes through `fetch`, which guards the network.
    """

    def __init__(self, indexes: Indexes, fetch: Fetch, limits: CrawlLimits) -> None:
        self._indexes = indexes
        self._fetch = fetch
        self._limits = limits

    async def crawl(
        self, index: Index, crawl: Crawl, *, on_progress: OnProgress = ignore_progress
    ) -> IngestReport:
        """Index the pages of a crawl; the report is a `visitor.CrawlReport`.

        Unchanged pages are not read again; pages that their host has no more leave the index; pages
        that cannot be fetched are in the report. Raises what its first address, or the model that
        embeds, raises.
        """
        return await index.run_crawl(_as_json(crawl), self._work(index, crawl), on_progress)

    async def begin(self, index: Index, crawl: Crawl) -> str:
        """Start `crawl` in the background; return the id under which `list_ingests` shows it."""
        return await index.begin_crawl(_as_json(crawl), self._work(index, crawl))

    async def resume(self) -> None:
        """Start, in the background, the crawls that an earlier process did not finish."""
        for state, tenant in await self._indexes.unfinished_crawls():
            index = await self._indexes.get(state.index, tenant=tenant)
            index.resume_crawl(state, self._work(index, _from_json(state.origin)))

    def _work(self, index: Index, crawl: Crawl) -> Work:
        async def work(on_progress: OnProgress) -> IngestReport:
            return await SiteVisitor(index, self._fetch, self._limits, crawl, on_progress).run()

        return work


def _as_json(crawl: Crawl) -> str:
    return json.dumps(asdict(crawl))


def _from_json(origin: str) -> Crawl:
    fields = json.loads(origin)
    return Crawl(**{**fields, "hosts": tuple(fields["hosts"])})
