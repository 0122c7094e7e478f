"""Fetching as a good guest: what robots.txt asks for, and a pause between two requests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urljoin
from urllib.robotparser import RobotFileParser

from config.errors import MotetError
from indexes.crawls.decisions import AGENT, delay_s, host_of, robots

ROBOTS_BYTES = 512 * 1024


class Page(Protocol):
    """What an address held. `unchanged`: it is as its `etag` or `last_modified` said, and came
    without data."""

    url: str
    media_type: str
    data: bytes
    charset: str | None
    etag: str | None
    last_modified: str | None
    unchanged: bool


class Fetch(Protocol):
    """Fetches from public addresses, bounded in time and size. Raises our errors."""

    async def __call__(self, url: str, etag: str | None, last_modified: str | None, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class CrawlLimits:
    """Bounds of one crawl. `delay_s` lies between two requests to a host, unless its robots.txt
    asks for more, up to `max_delay_s`."""

    timeout_s: float = 3600.0
    max_bytes: int = 512 * 2**20
    at_once: int = 4
    delay_s: float = 0.1
    max_delay_s: float = 10.0
    max_maps: int = 100
    map_bytes: int = 32 * 2**20


class PoliteFetcher:
    """Fetches for one crawl. `fetched_bytes` is all that came."""

    def __init__(self, fetch: Fetch, limits: CrawlLimits) -> None:
        self._fetch = fetch
        self._limits = limits
        self._rules: dict[str, RobotFileParser | MotetError] = {}
        self._asking = asyncio.Lock()
        self._next_at: dict[str, float] = {}
        self.fetched_bytes = 0

    async def page(
        self, url: str, etag: str | None = None, last_modified: str | None = None
    ) -> Page:
        """What the address holds, once the pause that its host asks for is over. Raises what
        fetching raises."""
        rules = self._rules.get(_robots_of(url))
        asked = rules if isinstance(rules, RobotFileParser) else robots("")
        await self._pause(url, delay_s(asked, self._limits.delay_s, self._limits.max_delay_s))
        page: Page = await self._fetch(url, etag, last_modified)
        self.fetched_bytes += len(page.data)
        return page

    async def may_visit(self, url: str) -> bool:
        """Whether the host's robots.txt lets us. Raises where it cannot be asked."""
        address = _robots_of(url)
        async with self._asking:
            if address not in self._rules:
                self._rules[address] = await self._asked(address)
        rules = self._rules[address]
        if isinstance(rules, MotetError):
            raise rules
        return rules.can_fetch(AGENT, url)

    async def _asked(self, url: str) -> RobotFileParser | MotetError:
        """A host without rules allows everything; one that cannot be asked, nothing."""
        try:
            page = await self._fetch(url, None, None)
        except MotetError as error:
            status = error.details.get("status", 500)
            return robots("") if 400 <= status < 500 and status != 429 else error
        return robots(page.data[:ROBOTS_BYTES].decode(errors="replace"))

    async def _pause(self, url: str, pause_s: float) -> None:
        now = asyncio.get_running_loop().time()
        at = max(now, self._next_at.get(host_of(url), 0.0))
        self._next_at[host_of(url)] = at + pause_s
        await asyncio.sleep(at - now)


def _robots_of(url: str) -> str:
    return urljoin(url, "/robots.txt")
