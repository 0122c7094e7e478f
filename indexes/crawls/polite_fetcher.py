"""Fetches as a good guest: as robots.txt allows, with a pause between two requests to a host.

Leaves the network, and which addresses are forbidden, to the `Fetch` that is handed in.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urljoin
from urllib.robotparser import RobotFileParser

from config.errors import MotetError
from indexes.crawls.decisions import AGENT, delay_s, host_of, parse_robots

MAX_ROBOTS_BYTES = 512 * 1024
"""More of a robots.txt is not read, as RFC 9309 demands at least."""


class CrawledPage(Protocol):
    """What an address held.

    `unchanged`: it is as its `etag` or `last_modified` said, and came without data.
    """

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
    """Bounds of one crawl.

    `delay_s` is the pause between two requests to a host, unless its robots.txt demands more, up to
    `max_delay_s`.
    """

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
        self._robots_lock = asyncio.Lock()
        self._next_at_s: dict[str, float] = {}
        self.fetched_bytes = 0

    async def page(
        self, url: str, etag: str | None = None, last_modified: str | None = None
    ) -> CrawledPage:
        """Fetch a page once the pause that its host demands is over. Raises what `Fetch` raises."""
        rules = self._rules.get(_robots_of(url))
        known_rules = rules if isinstance(rules, RobotFileParser) else parse_robots("")
        limits = self._limits
        await self._pause(url, delay_s(known_rules, limits.delay_s, limits.max_delay_s))
        page: CrawledPage = await self._fetch(url, etag, last_modified)
        self.fetched_bytes += len(page.data)
        return page

    async def may_visit(self, url: str) -> bool:
        """Say whether the host's robots.txt allows a visit. Raises if that cannot be fetched."""
        address = _robots_of(url)
        # One at a time: pages of a host are visited together, and its rules are fetched once.
        async with self._robots_lock:
            if address not in self._rules:
                self._rules[address] = await self._fetch_rules(address)
        rules = self._rules[address]
        if isinstance(rules, MotetError):
            raise rules
        return rules.can_fetch(AGENT, url)

    async def _fetch_rules(self, url: str) -> RobotFileParser | MotetError:
        """Fetch a host's rules. A host without any allows everything; one that fails, nothing."""
        try:
            page = await self._fetch(url, None, None)
        except MotetError as error:
            status = error.details.get("status", 500)
            return parse_robots("") if 400 <= status < 500 and status != 429 else error
        return parse_robots(page.data[:MAX_ROBOTS_BYTES].decode(errors="replace"))

    async def _pause(self, url: str, pause_s: float) -> None:
        now_s = asyncio.get_running_loop().time()
        # The turn is taken before the wait: others who come meanwhile queue up behind it.
        turn_s = max(now_s, self._next_at_s.get(host_of(url), 0.0))
        self._next_at_s[host_of(url)] = turn_s + pause_s
        await asyncio.sleep(turn_s - now_s)


def _robots_of(url: str) -> str:
    return urljoin(url, "/robots.txt")
