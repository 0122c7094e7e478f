"""Which addresses may be fetched from once a run has read something private.

Owns how addresses are found in texts and compared. Whether something private was read is for the
caller to know. Invariant: an address counts as written by someone only as a whole, its query
included, because a model that was talked into it would put what it has read there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx

from config.errors import Invalid
from tools.responses import shorten_url

ADDRESS = re.compile(r"https?://[^\s<>\"'`|\\^{}]{1,4096}", re.IGNORECASE)
BARE_ADDRESS = re.compile(
    r"(?<![\w@./:-])(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,63}(?::\d{1,5})?(?:/[^\s<>\"'`|\\^{}]{0,2048})?",
    re.IGNORECASE,
)
"""How people write addresses, as in `example.com/news`."""
DOT_SEGMENT = re.compile(r"/\.{1,2}(?=[/\\]|\Z)")
"""What some clients take out of an address and others send."""
TRAILING = ".,;:!?)]}*_~"
"""What follows an address in a sentence more often than it ends one."""
MAX_TRAILING = 4
MAX_ADDRESSES = 500
"""That one text is searched for, and that one thread keeps."""
MAX_TEXT_CHARS = 1_000_000
MAX_VALUES = 20_000

View = Callable[[Any], Any]
"""Gives what is to be seen of an item, None for nothing."""


def address_key(url: str) -> str | None:
    """Return what two spellings of one address have in common; None for what is no address.

    The scheme and a leading `www.` are left out: people do too. An address with a user's name, or
    with segments that clients take out, is none: whoever it reaches reads these.
    """
    try:
        parsed = httpx.URL(url if "://" in url[:10] else f"https://{url}")
        if parsed.userinfo or DOT_SEGMENT.search(re.split("[?#]", url)[0]):
            return None
        host = parsed.raw_host.decode("ascii").lower().rstrip(".").removeprefix("www.")
    except (httpx.InvalidURL, UnicodeError, TypeError):
        return None
    if not host or parsed.scheme not in ("http", "https"):
        return None
    port = f":{parsed.port}" if parsed.port not in (None, 80, 443) else ""
    return f"{host}{port}{parsed.raw_path.decode('ascii', 'replace')}"


def find_urls(value: Any) -> Iterator[str]:
    """Yield every http or https URL in the texts of a value."""
    for text in _texts(value):
        for match in ADDRESS.finditer(text):
            yield match[0]


def find_named_urls(value: Any) -> Iterator[str]:
    """Yield the texts within a value that are a URL as a whole."""
    for text in _texts(value):
        if text.strip()[:8].lower().startswith(("http://", "https://")):
            yield text.strip()


def find_written_addresses(value: Any, view: View = lambda item: item) -> list[str]:
    """Return the keys of all addresses that a person has written somewhere in a value.

    `view` gives what of each item in it a person has written.
    """
    keys: dict[str, None] = {}
    for text in _texts(value, view):
        for match in (*ADDRESS.finditer(text), *BARE_ADDRESS.finditer(text)):
            keys.update(dict.fromkeys(filter(None, map(address_key, _spellings(match[0])))))
            if len(keys) >= MAX_ADDRESSES:
                return list(keys)
    return list(keys)


def _spellings(address: str) -> Iterator[str]:
    """Yield an address with and without each of the signs that may be its sentence's."""
    yield address
    for _ in range(MAX_TRAILING):
        if address[-1:] not in TRAILING:
            return
        address = address[:-1]
        yield address


@dataclass(frozen=True)
class AddressPolicy:
    """Allows listed hosts, and addresses that a person has written or approved.

    A host is listed by its name, all below one as `*.example.com`, every host as `*`. A policy that
    is not `bounded` allows everything.
    """

    bounded: bool = False
    hosts: Collection[str] = ()
    written: Collection[str] = ()
    """Keys of addresses."""

    def listing(self, hosts: Iterable[str]) -> AddressPolicy:
        """Return a policy that allows more hosts."""
        return replace(self, hosts=frozenset((*self.hosts, *hosts)))

    def allows(self, url: str) -> bool:
        """Tell whether a URL may be fetched."""
        if not self.bounded:
            return True
        key = address_key(url)
        if key is None:
            return False
        host = _host(url)
        return key in self.written or any(_matches(host, listed) for listed in self.hosts)

    def check(self, url: str) -> None:
        """Raise `Invalid` (`address_not_allowed`) for a URL that may not be fetched."""
        if not self.allows(url):
            raise Invalid(
                f"{shorten_url(url)} is not fetched: private data was read before, so that only "
                "addresses are taken that the user wrote, that a person approves, or whose hosts "
                "are listed.",
                code="address_not_allowed",
                details={"field": "url"},
            )


def _host(url: str) -> str:
    return httpx.URL(url).raw_host.decode("ascii").lower().rstrip(".") if "://" in url else ""


def _matches(host: str, listed: str) -> bool:
    listed = listed.lower()
    if listed == "*":
        return True
    if listed.startswith("*."):
        return host.endswith(listed[1:])
    return host == listed


def _texts(value: Any, view: View = lambda item: item) -> Iterator[str]:
    """Yield the texts within a value, as far as there are not too many."""
    pending, count, chars = [value], 0, 0
    while pending and count < MAX_VALUES and chars < MAX_TEXT_CHARS:
        item = view(pending.pop())
        count += 1
        if isinstance(item, str):
            yield item[: MAX_TEXT_CHARS - chars]
            chars += len(item)
        elif isinstance(item, Mapping):
            pending += item.values()
        elif isinstance(item, list | tuple):
            pending += item


def join_written(first: Iterable[str], second: Iterable[str]) -> list[str]:
    """Return the keys of both, the latest of them where there are too many."""
    return list(dict.fromkeys((*first, *second)))[-MAX_ADDRESSES:]
