"""Crawls: the pages of a site map, or those that a page leads to, each one a document."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from indexes.crawls.decisions import Crawl
from indexes.crawls.polite_fetcher import CrawlLimits, Fetch
from indexes.crawls.visit import Visit
from indexes.library import Indexes
from indexes.records import IngestReport, Progress

Tell = Callable[[Progress], None]


class Crawler:
    """Crawls into indexes. What was accepted is finished, over restarts too.

    Every fetch goes through `fetch`, which guards the network.
    """

    def __init__(self, indexes: Indexes, fetch: Fetch, limits: CrawlLimits) -> None:
        self._indexes = indexes
        self._fetch = fetch
        self._limits = limits

    async def crawl(
        self,
        name: str,
        crawl: Crawl,
        *,
        tenant: str = "default",
        progress: Tell = lambda progress: None,
    ) -> IngestReport:
        """Index the pages of a crawl; the report is a `visit.CrawlReport`. Unchanged pages are
        not read again; those that are gone leave the index; those that cannot be had are told of.

        Raises what its first address, or the model that embeds, raises.
        """
        work = self._work(name, crawl, tenant)
        crawls = self._indexes.crawls
        return await crawls.run(name, _written(crawl), work, progress, tenant=tenant)

    async def begin(self, name: str, crawl: Crawl, *, tenant: str = "default") -> str:
        """`crawl` in the background: the id under which the index's `ingests` list it."""
        work = self._work(name, crawl, tenant)
        return await self._indexes.crawls.begin(name, _written(crawl), work, tenant=tenant)

    async def go_on(self) -> None:
        """Go on, in the background, with the crawls that an earlier process did not finish."""
        for state, tenant in await self._indexes.crawls.unfinished():
            work = self._work(state.index, _read(state.origin), tenant)
            self._indexes.crawls.go_on(state, work)

    def _work(
        self, name: str, crawl: Crawl, tenant: str
    ) -> Callable[[Tell], Awaitable[IngestReport]]:
        async def work(tell: Tell) -> IngestReport:
            visit = Visit(self._indexes, self._fetch, self._limits, name, crawl, tenant, tell)
            return await visit.run()

        return work


def _written(crawl: Crawl) -> str:
    return json.dumps(asdict(crawl))


def _read(origin: str) -> Crawl:
    fields = json.loads(origin)
    return Crawl(**{**fields, "hosts": tuple(fields["hosts"])})
