"""Fetching and posting on the web for the packages that know no `tools`: crawls and webhooks.

Addresses are checked in `tools.safe_fetch`; the bounds are chosen here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tools.responses import FetchedPage, PostAnswer
from tools.safe_fetch import CacheValidators, FetchLimits, fetch, post

MAX_PAGE_BYTES = 8 * 2**20
PAGE_TIMEOUT_S = 20.0
"""A crawl fetches many pages, so that one may neither be as large nor as slow as a single one."""


class PageFetcher:
    """Fetches the pages of a crawl: `indexes.crawls.polite_fetcher.Fetch`."""

    def __init__(self, limits: FetchLimits) -> None:
        self._limits = replace(limits, max_bytes=MAX_PAGE_BYTES, timeout_s=PAGE_TIMEOUT_S)

    async def __call__(self, url: str, etag: str | None, last_modified: str | None) -> FetchedPage:
        """Fetch a page, unless it is as the validators of an earlier fetch say."""
        return await fetch(url, self._limits, validators=CacheValidators(etag, last_modified))


@dataclass(frozen=True)
class WebhookSender:
    """Posts webhooks: `runs.webhooks.Post`."""

    limits: FetchLimits

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        """Post a JSON body and return what was answered."""
        return await post(url, body, self.limits, headers=headers)
