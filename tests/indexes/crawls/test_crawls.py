"""Crawls of a real server on loopback, a hostile one too, into real indexes."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from config.errors import Invalid, NotFound
from config.settings import load_settings
from indexes.crawls.crawls import Crawler
from indexes.crawls.decisions import Crawl
from indexes.crawls.polite_fetcher import CrawlLimits
from indexes.crawls.visitor import CrawlReport
from indexes.reports import IngestProgress, IngestReport, OnProgress, ignore_progress
from indexes.service import Indexes, open_indexes
from indexes.spec import IndexSpec
from tests.support.indexes import Models
from tests.support.site import LOOPBACK, Site, serving
from tests.support.tenants import TENANT
from tools.safe_fetch import CacheValidators, FetchLimits, fetch

PAGE_BYTES = 2 * 2**20
QUICK = CrawlLimits(delay_s=0.0)


@pytest.fixture
async def site() -> Any:
    async with serving(Site()) as running:
        yield running


def fetching(**limits: Any) -> Callable[..., Any]:
    """The guarded fetch as the server hands it in, loopback being allowed."""
    bounds = FetchLimits(PAGE_BYTES, timeout_s=5.0, allowed_networks=(LOOPBACK,))

    async def fetched(url: str, etag: str | None, last_modified: str | None) -> Any:
        return await fetch(
            url, replace(bounds, **limits), validators=CacheValidators(etag, last_modified)
        )

    return fetched


class NotesCrawler(Crawler):
    """A crawler that fills the index `notes`."""

    async def crawl_notes(
        self, crawl: Crawl, on_progress: OnProgress = ignore_progress
    ) -> IngestReport:
        notes = await self._indexes.get("notes", tenant=TENANT)
        return await self.crawl(notes, crawl, on_progress=on_progress)


@pytest.fixture
def crawler(indexes: Indexes) -> NotesCrawler:
    return NotesCrawler(indexes, fetching(), QUICK)


def put(site: Site, path: str, text: str, to: Iterable[str] = (), head: str = "") -> None:
    """A page with a text and links."""
    links = "".join(f'<a href="{each}">{each}</a>' for each in to)
    body = f"<html><title>{path}</title><p>{text}</p>{links}</html>".encode()
    site.page(path, body, "text/html; charset=utf-8", head=head)


def put_map(site: Site, *paths: str) -> str:
    rows = "".join(f"<url><loc>{site.url(path)}</loc></url>" for path in paths)
    site.page("/sitemap.xml", f"<urlset>{rows}</urlset>".encode(), "application/xml")
    return site.url("/sitemap.xml")


async def run(crawler: NotesCrawler, start: str, kind: Any = "links", **more: Any) -> CrawlReport:
    report = await crawler.crawl_notes(Crawl(start, kind, **more))
    assert isinstance(report, CrawlReport)
    return report


async def paths(indexes: Indexes, site: Site) -> list[str]:
    """What is in the index, as paths of the site."""
    notes = await indexes.get("notes", tenant=TENANT)
    found = await notes.list_documents(limit=1000)
    return [document.source.removeprefix(site.url("")) for document in found]


def asked(site: Site) -> list[str]:
    """The paths that were asked for, but for the robots.txt."""
    return [path for head in site.seen if (path := head.split(" ")[1]) != "/robots.txt"]


async def test_a_page_is_crawled_with_all_it_leads_to(
    site: Site, crawler: NotesCrawler, indexes: Indexes
) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    put(site, "/", "Welcome.", ["/a", "/b#part", "/b", "/", "http://other.example/", "/p.png"])
    put(site, "/a", "Apples grow on trees.", ["/c"])
    put(site, "/b", "Boats float.")
    put(site, "/c", "Cats sleep.", ["/a"])
    report = await run(crawler, site.url("/"))
    assert (report.added, report.failed, report.skipped, report.stopped) == (4, [], 2, None)
    assert await paths(indexes, site) == ["/", "/a", "/b", "/c"]
    assert sorted(asked(site)) == ["/", "/a", "/b", "/c"]
    [best] = await indexes.search("notes", "cats", limit=1, tenant=TENANT)
    assert (best.source, best.title) == (site.url("/c"), "/c")
    [state] = await notes.list_ingests()
    assert (state.kind, state.state, state.files_done) == ("crawl", "finished", 4)


async def test_failing_pages_of_a_site_map_do_not_stop_its_crawl(
    site: Site, crawler: NotesCrawler, indexes: Indexes
) -> None:
    put(site, "/a", "Apples.", ["/not-listed"])
    site.page("/broken", b"\xff\xfe\xfd", "text/plain; charset=utf-8")
    site.page("/down", b"", status="503 Down")
    put(site, "/z", "Zebras.")
    told: list[IngestProgress] = []
    start = put_map(site, "/a", "/broken", "/missing", "/down", "/z")
    report = await crawler.crawl_notes(Crawl(start, "sitemap"), told.append)
    assert report.added == 2
    assert {(each.source.removeprefix(site.url("")), each.code) for each in report.failed} == {
        ("/broken", "unreadable_document"),
        ("/missing", "page_not_found"),
        ("/down", "fetch_failed"),
    }
    assert await paths(indexes, site) == ["/a", "/z"]
    assert [each.files_done for each in told] == [1, 2, 3, 4, 5]


async def test_packed_site_maps_and_indexes_of_them_are_read(
    site: Site, crawler: NotesCrawler, indexes: Indexes
) -> None:
    put(site, "/a", "Apples.")
    packed = gzip.compress(f"<urlset><url><loc>{site.url('/a')}</loc></url></urlset>".encode())
    site.page("/one.xml.gz", packed, "application/gzip")
    maps = (site.url("/one.xml.gz"), site.url("/gone.xml"), site.url("/index.xml"))
    rows = "".join(f"<sitemap><loc>{each}</loc></sitemap>" for each in maps)
    site.page("/index.xml", f"<sitemapindex>{rows}</sitemapindex>".encode(), "text/xml")
    report = await run(crawler, site.url("/index.xml"), "sitemap")
    assert [each.source for each in report.failed] == [site.url("/gone.xml")]
    assert await paths(indexes, site) == ["/a"]


async def test_second_crawl_fetches_only_changes_and_removes_missing_pages(
    site: Site, crawler: NotesCrawler, indexes: Indexes
) -> None:
    for path in ("/same", "/changed", "/gone", "/unlisted"):
        put(site, path, f"All about {path[1:]}.", head='ETag: "1"\r\n')
    start = put_map(site, "/same", "/changed", "/gone", "/unlisted")
    assert (await run(crawler, start, "sitemap")).added == 4
    site.pages["/same"] = b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"
    put(site, "/changed", "All about change.", head='ETag: "2"\r\n')
    del site.pages["/gone"]
    put_map(site, "/same", "/changed", "/gone")
    report = await run(crawler, start, "sitemap")
    counts = (report.added, report.changed, report.unchanged, report.removed)
    assert (counts, report.failed) == ((0, 1, 1, 2), [])
    assert await paths(indexes, site) == ["/changed", "/same"]


async def test_pages_stay_indexed_while_their_site_fails(
    site: Site, crawler: NotesCrawler, indexes: Indexes
) -> None:
    put(site, "/", "Welcome.", ["/a"])
    put(site, "/a", "Apples.", ["/b"])
    put(site, "/b", "Boats.")
    await run(crawler, site.url("/"))
    site.page("/a", b"", status="500 Trouble")
    report = await run(crawler, site.url("/"))
    assert (report.unchanged, report.removed, len(report.failed)) == (1, 0, 1)
    assert await paths(indexes, site) == ["/", "/a", "/b"]
    del site.pages["/a"]
    assert (await run(crawler, site.url("/"))).removed == 2
    assert await paths(indexes, site) == ["/"]


async def test_robots_txt_decides_which_pages_are_visited(
    site: Site, crawler: NotesCrawler, indexes: Indexes
) -> None:
    site.page("/robots.txt", b"User-agent: *\nDisallow: /private\n")
    put(site, "/", "Welcome.", ["/private/a", "/open", "/door"])
    put(site, "/private/a", "Secrets.")
    put(site, "/open", "Open.")
    site.redirect("/door", "/private/a")
    report = await run(crawler, site.url("/"))
    assert (report.added, report.skipped) == (2, 1)
    assert await paths(indexes, site) == ["/", "/open"]


async def test_host_whose_robots_txt_fails_is_not_visited(
    site: Site, crawler: NotesCrawler
) -> None:
    site.page("/robots.txt", b"", status="500 Trouble")
    put(site, "/", "Welcome.")
    with pytest.raises(Exception, match="500"):
        await run(crawler, site.url("/"))
    assert asked(site) == []


async def test_pages_are_read_in_the_charsets_that_they_come_in(
    site: Site, crawler: NotesCrawler, indexes: Indexes
) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    site.page("/a", "<p>Größe in Köln.</p>".encode("latin-1"), "text/html; charset=latin-1")
    site.page("/b", "<p>Größe in Köln.</p>".encode(), "text/html; charset=no-such-thing")
    report = await run(crawler, put_map(site, "/a", "/b"), "sitemap")
    assert report.failed == []
    texts = [(await notes.get_document(id)).text for id in report.documents]
    assert texts == ["Größe in Köln."] * 2


async def test_a_page_may_ask_not_to_be_indexed(
    site: Site, crawler: NotesCrawler, indexes: Indexes
) -> None:
    page = b'<meta name="robots" content="noindex"><p>A list.</p><a href="/a">a</a>'
    site.page("/", page, "text/html")
    put(site, "/a", "Apples.")
    assert (await run(crawler, site.url("/"))).skipped == 1
    assert await paths(indexes, site) == ["/a"]


async def test_endless_calendar_is_left_at_the_page_limit(
    site: Site, crawler: NotesCrawler, indexes: Indexes
) -> None:
    class Calendar(dict[str, Any]):
        def get(self, path: str, default: Any = None) -> Any:
            if not path.startswith("/day"):
                return default
            day = int(path.partition("=")[2])
            to = "".join(f'<a href="/day?n={day + step}">on</a>' for step in (-1, 1, 7))
            body = f"<p>Day {day}.</p>{to}".encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}"
            return f"{head}\r\nConnection: close\r\n\r\n".encode() + body

    site.pages = Calendar()
    report = await run(crawler, site.url("/day?n=0"), max_pages=12)
    assert (report.added, report.stopped) == (12, "max_pages")
    report = await run(crawler, site.url("/day?n=0"), max_pages=500, max_depth=1)
    assert (report.added + report.unchanged, report.stopped) == (4, None)


async def test_redirects_into_our_own_network_are_refused(
    site: Site, crawler: NotesCrawler, indexes: Indexes
) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    put(site, "/", "Welcome.", ["/meta", "/loop"])
    site.redirect("/meta", "http://169.254.169.254/latest/meta-data/")
    site.redirect("/loop", "/loop")
    report = await run(crawler, site.url("/"), hosts=("169.254.169.254",))
    assert {each.code for each in report.failed} == {"forbidden_address", "too_many_redirects"}
    with pytest.raises(Invalid) as caught:
        await run(crawler, "http://169.254.169.254/sitemap.xml", "sitemap")
    assert caught.value.code == "forbidden_address"
    states = {each.state for each in await notes.list_ingests()}
    assert states == {"finished", "failed"}


async def test_a_site_map_that_unpacks_to_too_much_is_refused(site: Site, indexes: Indexes) -> None:
    site.page("/sitemap.xml.gz", gzip.compress(b"<urlset>" + b" " * 2**22), "application/gzip")
    limits = replace(QUICK, map_bytes=2**20)
    with pytest.raises(Invalid) as caught:
        await run(NotesCrawler(indexes, fetching(), limits), site.url("/sitemap.xml.gz"), "sitemap")
    assert caught.value.code == "invalid_site_map"


async def test_slow_and_too_large_pages_fail_alone(site: Site, indexes: Indexes) -> None:
    over = asyncio.Event()

    async def silent(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        await writer.drain()
        await over.wait()

    site.pages["/slow"] = silent
    site.page("/large", b"word " * (10 * 2**20 // 5))
    put(site, "/a", "Apples.")
    crawler = NotesCrawler(indexes, fetching(timeout_s=0.5), QUICK)
    report = await run(crawler, put_map(site, "/slow", "/large", "/a"), "sitemap")
    over.set()
    assert {each.code for each in report.failed} == {"fetch_timed_out", "too_large"}
    assert await paths(indexes, site) == ["/a"]


async def test_crawl_stops_at_its_limit_of_bytes_or_time(site: Site, indexes: Indexes) -> None:
    put(site, "/", "Welcome. " * 100, ["/a", "/b", "/c"])
    few = NotesCrawler(indexes, fetching(), replace(QUICK, max_bytes=500, at_once=1))
    report = await run(few, site.url("/"))
    assert (report.added, report.stopped) == (1, "max_bytes")
    site.page("/robots.txt", b"User-agent: *\nCrawl-delay: 9\n")
    short = NotesCrawler(indexes, fetching(), replace(QUICK, timeout_s=1.0))
    report = await run(short, site.url("/"))
    assert (report.unchanged, report.stopped) == (1, "timeout")


async def test_crawl_whose_start_is_missing_raises(site: Site, crawler: NotesCrawler) -> None:
    for kind in ("links", "sitemap"):
        with pytest.raises(NotFound):
            await run(crawler, site.url("/none"), kind)


async def test_crawl_interrupted_by_a_close_resumes_at_the_next_start(
    site: Site, tmp_path: Path
) -> None:
    reached, over = asyncio.Event(), asyncio.Event()

    async def hanging(writer: asyncio.StreamWriter) -> None:
        reached.set()
        await over.wait()

    put(site, "/a", "Apples.")
    site.pages["/b"] = hanging
    start = put_map(site, "/a", "/b")
    settings = load_settings(home=tmp_path)
    async with open_indexes(settings, Models(), tenant=TENANT) as indexes:
        notes = await indexes.create(IndexSpec(name="notes"), tenant=TENANT)
        crawler = Crawler(indexes, fetching(), replace(QUICK, at_once=1))
        crawl = asyncio.create_task(crawler.begin(notes, Crawl(start, "sitemap")))
        await asyncio.wait_for(reached.wait(), 240)
        await crawl
    over.set()
    put(site, "/b", "Boats.")
    async with open_indexes(settings, Models(), tenant=TENANT) as indexes:
        await Crawler(indexes, fetching(), QUICK).resume()
        [task] = [task for task in asyncio.all_tasks() if task.get_name() == "indexes crawl notes"]
        await asyncio.wait([task], timeout=240)
        assert await paths(indexes, site) == ["/a", "/b"]
        notes = await indexes.get("notes", tenant=TENANT)
        assert [each.state for each in await notes.list_ingests()] == ["finished"]
