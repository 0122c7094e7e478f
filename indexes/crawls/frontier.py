"""Which addresses a crawl still visits: each once, on its hosts, no more than it may."""

from __future__ import annotations

from collections.abc import Iterable

from indexes.crawls.decisions import Crawl, canonical, host_of, worth_a_visit


class Frontier:
    """The addresses that were found and those that are in the documents.

    `skipped` counts those that do not belong to the crawl; `full` tells that there were more
    than it may visit.
    """

    def __init__(self, crawl: Crawl) -> None:
        self.start = canonical(crawl.start) or crawl.start
        self._hosts = {host_of(self.start), *(host.lower() for host in crawl.hosts)}
        self._left = crawl.max_pages
        self._seen: set[str] = set()
        self._skipped: set[str] = set()
        self.full = False

    @property
    def skipped(self) -> int:
        return len(self._skipped)

    def take(self, urls: Iterable[str]) -> list[str]:
        """Those to visit now, for the first time."""
        taken: list[str] = []
        for url in urls:
            if url in self._seen:
                continue
            self._seen.add(url)
            if not self.belongs(url) or not worth_a_visit(url):
                self.skip(url)
            elif self._left == 0:
                self.full = True
                return taken
            else:
                self._left -= 1
                taken.append(url)
        return taken

    def arrive(self, url: str, led_to: str) -> bool:
        """Whether the page that `url` led to belongs to the crawl and was not seen before. Where
        the start leads to another host, that is the crawl's too."""
        if url == led_to:
            return True
        if url == self.start:
            self._hosts.add(host_of(led_to))
        elif not self.belongs(led_to):
            self.skip(url)
            return False
        known = led_to in self._seen
        self._seen.add(led_to)
        return not known

    def belongs(self, url: str) -> bool:
        """Whether the address is on one of the crawl's hosts."""
        return host_of(url) in self._hosts

    def skip(self, url: str) -> None:
        """Count an address that is left out."""
        self._skipped.add(url)
