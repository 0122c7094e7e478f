"""`motet index` as it is typed, beside a running server."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from benchmarks.server import ServerProcess
from tests.support.command import Motet
from tests.support.site import Site, serving


@pytest.fixture
def motet(server: ServerProcess) -> Motet:
    return Motet(server.home)


async def test_an_index_is_filled_searched_and_looked_after(motet: Motet, tmp_path: Path) -> None:
    folder = tmp_path / "animals"
    folder.mkdir()
    (folder / "bees.md").write_text("# Bees\n\nBees make honey out of nectar.\n")
    (folder / "ants.md").write_text("# Ants\n\nAnts keep aphids for their honeydew.\n")
    assert "2 added" in (await motet("index", "add", "animals", folder)).out
    file = tmp_path / "plan.txt"
    file.write_text("We sell honey in jars.")
    added = await motet("index", "add", "shop", file, "--meta", "year=2024", "--meta", "by=Bo")
    assert "1 added" in added.out

    found = await motet(
        *("index", "search", "animals,shop", "honey", "--explain", "--limit", "3", "--mode"),
        *("keyword",),
    )
    assert "animals: bees.md › Bees" in found.out
    assert "shop: plan.txt" in found.out
    assert "keyword" in found.out
    chosen = await motet(
        *("index", "search", "shop,animals", "honey", "--where", "year>=2024", "--json")
    )
    [passage] = orjson.loads(chosen.out)["passages"]
    assert (passage["source"], passage["text"]) == ("plan.txt", "We sell honey in jars.")
    assert passage["highlights"] == [[8, 13]]
    listed = await motet("index", "ls", "shop", "--where", "by=Bo")
    assert "plan.txt" in listed.out

    stats = await motet("index", "stats", "animals")
    assert "documents     2" in stats.out
    assert str(folder) in stats.out
    assert "Rebuilt index animals: 2 passages." in (await motet("index", "rebuild", "animals")).out


async def test_an_index_goes_through_a_file(motet: Motet, tmp_path: Path) -> None:
    source = tmp_path / "sky.md"
    source.write_text("Swifts sleep in the air.")
    await motet("index", "add", "sky", source)
    file = tmp_path / "sky.motet"
    assert f"Exported index sky to {file}" in (await motet("index", "export", "sky", file)).out
    assert list(tmp_path.glob("*.part")) == []
    made = await motet("index", "import", file, "--name", "sky-2")
    assert "Imported index sky-2: 1 documents, 1 passages." in made.out
    assert "Swifts sleep" in (await motet("index", "search", "sky-2", "swifts")).out
    taken = await motet("index", "import", file)
    assert (taken.status, "There is an index 'sky' already" in taken.error) == (1, True)
    none = await motet("index", "export", "no-such-index", tmp_path / "x")
    assert (none.status, (tmp_path / "x").exists()) == (1, False)


async def test_index_is_exported_to_a_file_in_a_folder_that_is_there(
    motet: Motet, tmp_path: Path
) -> None:
    lost = await motet("index", "export", "docs", tmp_path / "lost" / "x")
    folder = await motet("index", "export", "docs", tmp_path)

    assert (lost.status, lost.error) == (1, f"There is no folder '{tmp_path / 'lost'}'.\n")
    assert folder.error == f"'{tmp_path}' is a folder: name the file to write.\n"


async def test_a_site_is_crawled(motet: Motet) -> None:
    async with serving(Site()) as site:
        site.page("/", b"<p>Welcome.</p><a href='/eels'>e</a><a href='http://x.example/'>x</a>",
                  "text/html")  # fmt: skip
        site.page("/eels", b"<p>Eels swim far.</p><a href='/gone'>gone</a>", "text/html")
        crawled = await motet("index", "add", "crawled", "--crawl", site.url("/"))
        assert "2 added" in crawled.out
        assert "1 addresses were left out" in crawled.out
        assert (crawled.status, f"{site.url('/gone')}: " in crawled.out) == (1, True)
        rows = f"<url><loc>{site.url('/eels')}</loc></url>"
        site.page("/sitemap.xml", f"<urlset>{rows}</urlset>".encode(), "application/xml")
        mapped = await motet(
            "index", "add", "mapped", "--sitemap", site.url("/sitemap.xml"), "--max-pages", "5"
        )
        assert (mapped.status, "1 added" in mapped.out) == (0, True)
        stats = await motet("index", "stats", "crawled")
        assert site.url("/") in stats.out


async def test_malformed_filters_and_forbidden_addresses_are_refused(motet: Motet) -> None:
    wrong = await motet("index", "search", "docs", "x", "--where", "year")
    assert (wrong.status, "'year' is no filter" in wrong.error) == (1, True)
    wrong = await motet("index", "search", "docs", "x", "--expand", "page")
    assert wrong.status == 1
    wrong = await motet("index", "add", "docs", "--crawl", "http://169.254.169.254/")
    assert (wrong.status, "does not lead to a public address" in wrong.error) == (1, True)
