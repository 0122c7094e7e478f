"""Pure decisions of a crawl: which addresses are one, what a page, a robots.txt, a site map say.

Fetches nothing, and trusts nothing that was fetched: every parser here is bounded.
"""

from __future__ import annotations

import codecs
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Literal
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit
from urllib.robotparser import RobotFileParser

from config.errors import Invalid
from indexes.formats import BY_TYPE

AGENT = "Motet"
"""The name by which robots.txt and robots' meta speak to us."""
MAX_URL_CHARS = 2000
MAX_LINKS = 2000
"""Followed from one page."""
PORTS = {"http": 80, "https": 443}
UNQUOTED = "!#$%&'()*+,/:;=?@[]~"
"""Everything that an address may hold as it is; `%` leaves what is quoted already."""
HTML_TYPES = {"text/html", "application/xhtml+xml"}


@dataclass(frozen=True, slots=True)
class Crawl:
    """What to fetch: the pages that the site map at `start` lists, or those that `start` leads to.

    Pages on other hosts than that of `start` count only where `hosts` names them. `max_depth` is
    how many links a page may be away from the start.
    """

    start: str
    kind: Literal["sitemap", "links"]
    max_pages: int = 500
    max_depth: int = 10
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Documents are found by it, as by every field of up to 1000 characters.
        if canonical(self.start) is None or len(self.start) > 1000:
            raise Invalid(
                f"'{self.start[:200]}' is not an http or https address.",
                code="forbidden_url",
                details={"field": "sitemap" if self.kind == "sitemap" else "crawl"},
            )


def canonical(url: str, base: str = "") -> str | None:
    """Reduce an address to the one form that names it; None if it is no web page's.

    Without fragment, default port and dots; the host in lower case; the query stays.
    """
    try:
        parts = urlsplit(urljoin(base, re.sub(r"[\t\r\n]", "", url.strip())))
        host = (parts.hostname or "").encode("idna" if not _is_ascii(parts) else "ascii").decode()
        port = parts.port
    except (ValueError, UnicodeError):
        return None
    if parts.scheme not in PORTS or not host or parts.username or parts.password:
        return None
    bracketed = f"[{host}]" if ":" in host else host
    site = bracketed if port in (None, PORTS[parts.scheme]) else f"{bracketed}:{port}"
    path = quote(_without_dots(parts.path), safe=UNQUOTED) or "/"
    address = urlunsplit((parts.scheme, site, path, quote(parts.query, safe=UNQUOTED), ""))
    return address if len(address) <= MAX_URL_CHARS and address.isprintable() else None


def _is_ascii(parts: SplitResult) -> bool:
    return (parts.hostname or "").isascii()


def _without_dots(path: str) -> str:
    """Resolve the dots of a path: `urljoin` leaves those of whole addresses as they are."""
    return urlsplit(urljoin(f"http://x{path}", path)).path if "/." in path else path


def host_of(url: str) -> str:
    """Return the host of a canonical address, with its port unless that is the usual one.

    Both schemes of a host are one site.
    """
    return urlsplit(url).netloc


def content_type(media_type: str, charset: str | None) -> str:
    """Join a page's type and charset; leave out a charset that Python does not know."""
    try:
        return f"{media_type}; charset={codecs.lookup(charset or '').name}"
    except (LookupError, ValueError):
        return media_type


def may_be_document(url: str) -> bool:
    """Say whether an address may hold a document: not if it ends like an image, archive, style."""
    kind, packed = mimetypes.guess_type(urlsplit(url).path)
    return packed is None and (kind is None or (kind in BY_TYPE and not kind.startswith("image/")))


# Pages


@dataclass(slots=True)
class PageLinks:
    """What a page says to a crawler: canonical addresses, each once, in order."""

    urls: list[str] = field(default_factory=list)
    index: bool = True
    """It may be indexed."""


def read_links(data: bytes, url: str, charset: str | None = None) -> PageLinks:
    """Read the links of the HTML page at `url`; honour `<base>`, `nofollow` and robots' meta.

    Blocks for as long as the parser takes.
    """
    from lxml import etree  # only crawls need it here

    target = _LinkTarget(url)
    try:
        parser = etree.HTMLParser(target=target, encoding=charset, no_network=True)
    except (LookupError, ValueError):
        parser = etree.HTMLParser(target=target, no_network=True)
    try:
        parser.feed(data)
        parser.close()
    except (etree.XMLSyntaxError, AssertionError):  # an empty page
        pass
    return PageLinks(list(target.urls) if target.follow else [], target.index)


class _LinkTarget:
    """Collects links while a page is parsed: no tree of it is ever built."""

    def __init__(self, url: str) -> None:
        self._base = url
        self.urls: dict[str, None] = {}
        self.follow = True
        self.index = True

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "base" and (base := canonical(attributes.get("href", ""), self._base)):
            self._base = base
        elif tag == "meta" and attributes.get("name", "").lower() in ("robots", AGENT.lower()):
            directives = set(re.findall(r"[\w:-]+", attributes.get("content", "").lower()))
            self.follow = self.follow and "nofollow" not in directives and "none" not in directives
            self.index = self.index and "noindex" not in directives and "none" not in directives
        elif tag in ("a", "area") and "href" in attributes and len(self.urls) < MAX_LINKS:
            self._link(attributes)

    def _link(self, attributes: Mapping[str, str]) -> None:
        refused = "nofollow" in attributes.get("rel", "").lower()
        if not refused and (url := canonical(attributes["href"], self._base)):
            self.urls[url] = None

    def close(self) -> None:
        return


# Robots


def parse_robots(text: str) -> RobotFileParser:
    """Parse a robots.txt; lines that make no sense are ignored."""
    rules = RobotFileParser()
    try:
        rules.parse(text.splitlines())
    except ValueError:
        rules = RobotFileParser()
        rules.parse([line for line in text.splitlines() if _makes_sense(line)])
    return rules


def _makes_sense(line: str) -> bool:
    try:
        RobotFileParser().parse(["User-agent: *", line])
    except ValueError:  # a port, an address, a number that are none
        return False
    return True


def delay_s(rules: RobotFileParser, min_s: float, max_s: float) -> float:
    """Return the pause between two requests that the rules demand, within bounds."""
    demanded_s = float(rules.crawl_delay(AGENT) or 0)
    return min(max(demanded_s, min_s), max_s)


# Site maps


@dataclass(frozen=True, slots=True)
class SiteMap:
    """The addresses in a site map: pages, and further site maps where it is an index of them."""

    pages: list[str] = field(default_factory=list)
    maps: list[str] = field(default_factory=list)


def read_site_map(data: bytes, url: str, max_urls: int, max_bytes: int) -> SiteMap:
    """Read a site map: XML, an index of site maps, or lines of text; each also packed with gzip.

    Stops at `max_urls`. Raises `Invalid` (`invalid_site_map`) for what is none of these, or unpacks
    to more than `max_bytes`.
    """
    data = _unpack(data, url, max_bytes)
    text = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    listed = (
        _read_xml(data, url, max_urls) if text.startswith(b"<") else _read_lines(text, max_urls)
    )
    if not listed.pages and not listed.maps:
        raise invalid_site_map(url, "it lists no addresses")
    return listed


def invalid_site_map(url: str, why: str) -> Invalid:
    return Invalid(
        f"{url} is no site map that can be read: {why}.",
        code="invalid_site_map",
        details={"field": "sitemap"},
    )


def _unpack(data: bytes, url: str, max_bytes: int) -> bytes:
    import zlib

    if not data.startswith(b"\x1f\x8b"):
        return data
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise invalid_site_map(url, "it is damaged") from error
    if len(unpacked) > max_bytes:
        raise invalid_site_map(url, f"it unpacks to more than {max_bytes / 2**20:g} MiB")
    return unpacked


def _read_lines(text: bytes, max_urls: int) -> SiteMap:
    lines = (canonical(line) for line in text.decode(errors="replace").splitlines())
    return SiteMap(list(dict.fromkeys(line for line in lines if line))[:max_urls])


def _read_xml(data: bytes, url: str, max_urls: int) -> SiteMap:
    from lxml import etree

    addresses: dict[str, dict[str, None]] = {"url": {}, "sitemap": {}}
    entries = etree.iterparse(
        BytesIO(data),
        tag=("{*}url", "{*}sitemap"),
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
    )
    try:
        for _, entry in entries:
            if address := canonical(entry.findtext("{*}loc") or ""):
                addresses[etree.QName(entry).localname][address] = None
            _release(entry)
            if sum(map(len, addresses.values())) >= max_urls:
                break
    except etree.XMLSyntaxError as error:
        # What comes before the fault is as good as ever.
        if not any(addresses.values()):
            raise invalid_site_map(url, f"not valid XML: {error.msg}") from error
    return SiteMap(list(addresses["url"]), list(addresses["sitemap"]))


def _release(entry: Any) -> None:
    """Free an entry that was read, or a site map would grow to a tree many times its size."""
    entry.clear()
    while entry.getprevious() is not None:
        del entry.getparent()[0]
