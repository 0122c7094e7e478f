"""What a crawl decides: addresses, links, robots, site maps."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import Invalid
from indexes.crawls.decisions import (
    AGENT,
    MAX_LINKS,
    Crawl,
    canonical,
    content_type,
    delay_s,
    may_be_document,
    parse_robots,
    read_links,
    read_site_map,
)
from indexes.crawls.frontier import Frontier

HOME = "https://example.org/"
MOST = 1000
MAP_BYTES = 100_000


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("HTTPS://Example.ORG:443/a/../b/./c?x=1#part", "https://example.org/b/c?x=1"),
        ("http://example.org", "http://example.org/"),
        ("http://example.org:8080/", "http://example.org:8080/"),
        ("http://bücher.example/ä b", "http://xn--bcher-kva.example/%C3%A4%20b"),
        ("http://example.org/a%20b", "http://example.org/a%20b"),
        ("http://[::1]:80/", "http://[::1]/"),
        ("  http://exam\nple.org/  ", "http://example.org/"),
    ],
)
def test_address_is_reduced_to_its_canonical_form(given: str, found: str) -> None:
    assert canonical(given) == found


@pytest.mark.parametrize(
    "given",
    [
        *("mailto:a@example.org", "javascript:alert(1)", "ftp://example.org/", "data:text/html,x"),
        *("http://", "http://user:secret@example.org/", "http://example.org:99999/", "http://[x/"),
        *("file:///etc/passwd", f"http://example.org/{'a' * 3000}", "http://example.org:x/"),
    ],
)
def test_text_that_is_no_web_address_has_no_canonical_form(given: str) -> None:
    assert canonical(given) is None


@given(st.text(max_size=60))
def test_canonical_address_is_its_own_canonical_form(path: str) -> None:
    found = canonical(f"/{path}", HOME)
    assert found is None or canonical(found) == found


@given(st.text(max_size=80))
def test_arbitrary_text_never_breaks_addresses_and_rules(text: str) -> None:
    canonical(text, HOME)
    parse_robots(f"User-agent: *\nDisallow: {text}\nCrawl-delay: {text}").can_fetch(AGENT, HOME)


def test_links_are_found_once_and_in_order() -> None:
    page = b"""<html><head><base href="/docs/"></head><body><a href="a#1">a</a>
    <a href="b?x=1">b</a>
    <a href="a#2">a</a> <map><area href="/c"></map> <a rel="ugc nofollow" href="no">no</a>
    <a>none</a> <a href="mailto:x@example.org">mail</a> <a href="//other.org/d">d</a>"""
    assert read_links(page, HOME).urls == [
        "https://example.org/docs/a",
        "https://example.org/docs/b?x=1",
        "https://example.org/c",
        "https://other.org/d",
    ]


def test_a_page_may_ask_not_to_be_followed_or_indexed() -> None:
    found = read_links(b'<meta name="ROBOTS" content="NoIndex, NoFollow"><a href="a">a</a>', HOME)
    assert (found.urls, found.index) == ([], False)
    found = read_links(b'<meta name="robots" content="noindex"><a href="a">a</a>', HOME)
    assert (found.urls, found.index) == (["https://example.org/a"], False)


@pytest.mark.parametrize(
    "page", [b"", b"\0\0", b"<a href", b"<" * 10_000, b"<div>" * 50_000, b"\xff\xfe<\0a\0>\0"]
)
def test_arbitrary_bytes_never_break_the_reading_of_links(page: bytes) -> None:
    assert read_links(page, HOME, "no-such-charset").urls == []
    assert read_links(page, HOME, "utf\0").urls == []


def test_links_of_one_page_are_bounded() -> None:
    page = b"".join(b'<a href="%d">' % n for n in range(MAX_LINKS + 100))
    assert len(read_links(page, HOME).urls) == MAX_LINKS


def test_a_page_is_read_in_the_charset_that_its_host_declares() -> None:
    assert content_type("text/html", "latin-1") == "text/html; charset=iso8859-1"
    for none in (None, "", "no-such-charset", "utf\0"):
        assert content_type("text/html", none) == "text/html"


def test_addresses_that_end_like_no_document_are_not_visited() -> None:
    kept = ("a", "a.html", "a.php", "guide/v1.2", "a.pdf", "a.docx", "a.md")
    left = ("a.png", "a.css", "a.zip", "a.tar.gz", "a.mp4", "a.woff2")
    assert all(may_be_document(HOME + path) for path in kept)
    assert not any(may_be_document(HOME + path) for path in left)


def test_rules_of_a_host_are_read_though_lines_make_no_sense() -> None:
    rules = parse_robots(
        "User-agent: *\nDisallow: //[\nCrawl-delay: ²\nCrawl-delay: 3\nDisallow: /no\n"
    )
    assert rules.can_fetch(AGENT, HOME + "yes")
    assert not rules.can_fetch(AGENT, HOME + "no/1")
    assert delay_s(rules, 0.1, 10) == 3
    assert delay_s(parse_robots("User-agent: *\nCrawl-delay: 99"), 0.1, 10) == 10
    assert delay_s(parse_robots(""), 0.1, 10) == 0.1


def entries(*urls: str) -> bytes:
    rows = "".join(f"<url><loc>{url}</loc><lastmod>2026</lastmod></url>" for url in urls)
    return f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{rows}</urlset>'.encode()


def test_a_site_map_lists_pages_in_xml_gzip_or_lines() -> None:
    pages = ["https://example.org/a?x=1&y=2", "https://example.org/b"]
    listed = entries(*(page.replace("&", "&amp;") for page in pages), "no address", pages[1])
    for data in (
        listed,
        gzip.compress(listed, mtime=0),
        "\n".join(["\ufeff" + pages[0], pages[1]]).encode(),
    ):
        assert read_site_map(data, HOME, MOST, MAP_BYTES).pages == pages


def test_a_site_map_may_name_others_and_pictures_are_no_pages() -> None:
    index = b"<sitemapindex><sitemap><loc>https://example.org/1.xml</loc></sitemap></sitemapindex>"
    found = read_site_map(index, HOME, MOST, MAP_BYTES)
    assert (found.pages, found.maps) == ([], ["https://example.org/1.xml"])
    page = b"<url><loc>https://example.org/a</loc><i:image><i:loc>https://example.org/i</i:loc>"
    found = read_site_map(
        b'<urlset xmlns:i="i">' + page + b"</i:image></url></urlset>", HOME, MOST, MAP_BYTES
    )
    assert found.pages == ["https://example.org/a"]


def test_a_site_map_that_breaks_off_counts_as_far_as_it_goes() -> None:
    found = read_site_map(entries("https://example.org/a") + b"<", HOME, MOST, MAP_BYTES)
    assert found.pages == ["https://example.org/a"]


def test_site_map_is_read_up_to_the_limit_of_addresses() -> None:
    urls = [f"https://example.org/{n}" for n in range(50)]
    assert len(read_site_map(entries(*urls), HOME, 10, MAP_BYTES).pages) == 10
    assert len(read_site_map("\n".join(urls).encode(), HOME, 10, MAP_BYTES).pages) == 10


LAUGHS = b"""<!DOCTYPE a [<!ENTITY a "https://example.org/"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;"><!ENTITY x SYSTEM "file:///etc/passwd">]>
<urlset><url><loc>&c;</loc></url><url><loc>&x;</loc></url></urlset>"""


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"<urlset/>", b"<html><body>Hello</body></html>", b"\x1f\x8bbroken", b"%PDF-1.7"),
        *(LAUGHS, b"<" * 1000, b"<a>" * 5000, gzip.compress(b"\0" * 10 * MAP_BYTES, mtime=0)),
        gzip.compress(b"<urlset>" + b" " * 10 * MAP_BYTES, mtime=0),
    ],
)
def test_data_that_is_no_site_map_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        read_site_map(data, HOME, MOST, MAP_BYTES)
    assert caught.value.code == "invalid_site_map"


def test_a_crawl_begins_at_an_address() -> None:
    with pytest.raises(Invalid) as caught:
        Crawl("file:///etc/passwd", "sitemap")
    assert (caught.value.code, caught.value.details["field"]) == ("forbidden_url", "sitemap")


def test_each_address_is_visited_once_on_its_host_and_no_more_than_allowed() -> None:
    frontier = Frontier(Crawl(HOME, "links", max_pages=3, hosts=("Docs.example.org",)))
    first = [HOME, HOME + "a", HOME, "https://other.org/", HOME + "i.png"]
    assert frontier.take(first) == [HOME, HOME + "a"]
    assert (frontier.skipped, frontier.full) == (2, False)
    assert frontier.take([HOME + "a", "https://docs.example.org/b", HOME + "c"]) == [
        "https://docs.example.org/b"
    ]
    assert frontier.full


def test_host_that_the_start_redirects_to_belongs_to_the_crawl_and_others_do_not() -> None:
    frontier = Frontier(Crawl(HOME, "links"))
    frontier.take([HOME])
    assert frontier.arrive(HOME, "https://www.example.org/")
    assert not frontier.arrive(HOME + "a", "https://other.org/")
    assert frontier.arrive(HOME + "b", "https://www.example.org/b")
    assert not frontier.arrive(HOME + "c", "https://www.example.org/b")
