"""What a crawl has to decide: which addresses are one, which belong to it, what a page leads to.

Nothing here fetches anything.
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
MAX_URL_CHARS = 2000
MAX_LINKS = 2000
"""Taken from one page."""
PORTS = {"http": 80, "https": 443}
# Everything that may stand in an address as it is; `%` keeps what is quoted already.
UNQUOTED = "!#$%&'()*+,/:;=?@[]~"
HTML = {"text/html", "application/xhtml+xml"}


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
    """The address in the one form that stands for it; None for what is no web page's.

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
    shown = f"[{host}]" if ":" in host else host
    place = shown if port in (None, PORTS[parts.scheme]) else f"{shown}:{port}"
    path = quote(_without_dots(parts.path), safe=UNQUOTED) or "/"
    found = urlunsplit((parts.scheme, place, path, quote(parts.query, safe=UNQUOTED), ""))
    return found if len(found) <= MAX_URL_CHARS and found.isprintable() else None


def _is_ascii(parts: SplitResult) -> bool:
    return (parts.hostname or "").isascii()


def _without_dots(path: str) -> str:
    """The path as a base would resolve it: `urljoin` leaves whole addresses as they are."""
    return urlsplit(urljoin(f"http://x{path}", path)).path if "/." in path else path


def host_of(url: str) -> str:
    """The host of a canonical address, with its port where that is not the usual one.

    Both schemes of a host are one site.
    """
    return urlsplit(url).netloc


def content_type(media_type: str, charset: str | None) -> str:
    """The type of a page with its charset, unless that is none that anybody knows."""
    try:
        return f"{media_type}; charset={codecs.lookup(charset or '').name}"
    except (LookupError, ValueError):
        return media_type


def worth_a_visit(url: str) -> bool:
    """Whether the address may hold a document: not when its ending says image, archive, style."""
    kind, packed = mimetypes.guess_type(urlsplit(url).path)
    return packed is None and (kind is None or (kind in BY_TYPE and not kind.startswith("image/")))


# Pages


@dataclass(slots=True)
class Links:
    """What a page says to who crawls it: canonical addresses, each once, in order."""

    urls: list[str] = field(default_factory=list)
    index: bool = True
    """It may be indexed."""


def links(data: bytes, url: str, charset: str | None = None) -> Links:
    """What the HTML page at `url` leads to. Honours `<base>`, `rel="nofollow"` and robots' meta.

    Blocks for as long as the parser takes.
    """
    from lxml import etree  # only crawls need it here

    target = _Target(url)
    try:
        parser = etree.HTMLParser(target=target, encoding=charset, no_network=True)
    except (LookupError, ValueError):
        parser = etree.HTMLParser(target=target, no_network=True)
    try:
        parser.feed(data)
        parser.close()
    except (etree.XMLSyntaxError, AssertionError):  # an empty page
        pass
    return Links(list(target.urls) if target.follow else [], target.index)


class _Target:
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
            said = set(re.findall(r"[\w:-]+", attributes.get("content", "").lower()))
            self.follow = self.follow and "nofollow" not in said and "none" not in said
            self.index = self.index and "noindex" not in said and "none" not in said
        elif tag in ("a", "area") and "href" in attributes and len(self.urls) < MAX_LINKS:
            self._link(attributes)

    def _link(self, attributes: Mapping[str, str]) -> None:
        refused = "nofollow" in attributes.get("rel", "").lower()
        if not refused and (url := canonical(attributes["href"], self._base)):
            self.urls[url] = None

    def close(self) -> None:
        return


# Robots


def robots(text: str) -> RobotFileParser:
    """The rules of a robots.txt; a line that makes no sense is none."""
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


def delay_s(rules: RobotFileParser, least_s: float, most_s: float) -> float:
    """The pause between two requests that the rules ask for, within bounds."""
    asked = rules.crawl_delay(AGENT)
    return min(max(float(asked or 0), least_s), most_s)


# Site maps


@dataclass(frozen=True, slots=True)
class SiteMap:
    """The addresses in a site map: pages, and further site maps where it is an index of them."""

    pages: list[str] = field(default_factory=list)
    maps: list[str] = field(default_factory=list)


def site_map(data: bytes, url: str, max_urls: int, max_bytes: int) -> SiteMap:
    """Reads XML, an index of site maps, or lines of text; each also packed with gzip.

    Raises `Invalid` (`invalid_site_map`) for what is none of these or unpacks to too much.
    """
    data = _unpacked(data, url, max_bytes)
    text = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    found = _in_xml(data, url, max_urls) if text.startswith(b"<") else _in_lines(text, max_urls)
    if not found.pages and not found.maps:
        raise bad_site_map(url, "it lists no addresses")
    return found


def bad_site_map(url: str, why: str) -> Invalid:
    return Invalid(
        f"{url} is no site map that can be read: {why}.",
        code="invalid_site_map",
        details={"field": "sitemap"},
    )


def _unpacked(data: bytes, url: str, max_bytes: int) -> bytes:
    import zlib

    if not data.startswith(b"\x1f\x8b"):
        return data
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise bad_site_map(url, "it is damaged") from error
    if len(unpacked) > max_bytes:
        raise bad_site_map(url, f"it unpacks to more than {max_bytes / 2**20:g} MiB")
    return unpacked


def _in_lines(text: bytes, max_urls: int) -> SiteMap:
    lines = (canonical(line) for line in text.decode(errors="replace").splitlines())
    return SiteMap(list(dict.fromkeys(line for line in lines if line))[:max_urls])


def _in_xml(data: bytes, url: str, max_urls: int) -> SiteMap:
    from lxml import etree

    found: dict[str, dict[str, None]] = {"url": {}, "sitemap": {}}
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
                found[etree.QName(entry).localname][address] = None
            _forget(entry)
            if sum(map(len, found.values())) >= max_urls:
                break
    except etree.XMLSyntaxError as error:
        # What stands before the fault is as good as ever.
        if not any(found.values()):
            raise bad_site_map(url, f"not valid XML: {error.msg}") from error
    return SiteMap(list(found["url"]), list(found["sitemap"]))


def _forget(entry: Any) -> None:
    """Let go of an entry that was read, or a site map would grow to a tree many times its size."""
    entry.clear()
    while entry.getprevious() is not None:
        del entry.getparent()[0]
