"""Chooses which addresses a crawl visits: each once, on its hosts, no more than it may."""

from __future__ import annotations

from collections.abc import Iterable

from indexes.crawls.decisions import Crawl, canonical, host_of, may_be_document


class Frontier:
    """The addresses that a crawl has met.

    `skipped` counts those that do not belong to the crawl; `full` says that there were more than it
    may visit.
    """

    def __init__(self, crawl: Crawl) -> None:
        self.start = canonical(crawl.start) or crawl.start
        self._hosts = {host_of(self.start), *(host.lower() for host in crawl.hosts)}
        self._left = crawl.max_pages
        self._visited: set[str] = set()
        self._skipped: set[str] = set()
        self.full = False

    @property
    def skipped(self) -> int:
        return len(self._skipped)

    def take(self, urls: Iterable[str]) -> list[str]:
        """Choose those to visit now, for the first time, as far as the crawl may visit more."""
        taken: list[str] = []
        for url in urls:
            if url in self._visited:
                continue
            self._visited.add(url)
            if not self.belongs(url) or not may_be_document(url):
                self.skip(url)
            elif self._left == 0:
                self.full = True
                return taken
            else:
                self._left -= 1
                taken.append(url)
        return taken

    def arrive(self, url: str, led_to: str) -> bool:
        """Say whether the page that `url` redirected to belongs to the crawl and is new to it.

        If the start leads to another host, that is the crawl's too.
        """
        if url == led_to:
            return True
        if url == self.start:
            self._hosts.add(host_of(led_to))
        elif not self.belongs(led_to):
            self.skip(url)
            return False
        # Two addresses may lead to one page: it is a document once.
        is_new = led_to not in self._visited
        self._visited.add(led_to)
        return is_new

    def belongs(self, url: str) -> bool:
        """Say whether the address is on one of the crawl's hosts."""
        return host_of(url) in self._hosts

    def skip(self, url: str) -> None:
        """Count an address that is left out."""
        self._skipped.add(url)
