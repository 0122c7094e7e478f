"""A folder with a file of each format: a question each, whose citation opens at the exact span."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.documents.books import (
    Book,
    Section,
    epub,
    letter,
    mailbox,
    page,
    pdf,
    python,
    records,
    sheets,
    slides,
    table,
    text_of,
    word_file,
)
from tests.support.documents.sheets import ods, xlsx
from tests.support.service import add_documents, cite, search

# What only this file says, how one would ask for it, and the words that answer.
FACTS = {
    "guide.md": ("The baker's cat is called Marzipan.", "What is the cat's name?", "Marzipan"),
    "notes.txt": ("The well is forty metres deep.", "How deep is the well?", "forty metres"),
    "tower.html": ("Ada Brandt built the lighthouse.", "Who built the lighthouse?", "Ada Brandt"),
    "rules.xhtml": ("Bicycles are parked behind the mill.", "Where to leave a bike?", "the mill"),
    "report.pdf": ("The glacier lost nine metres in June.", "How much ice melted?", "nine metres"),
    "letter.docx": ("The parcel was sent to Lisbon.", "Where did the parcel go?", "Lisbon"),
    "talk.pptx": ("Our rocket burns methane.", "What fuel does the rocket use?", "methane"),
    "novel.epub": ("The captain feared only geese.", "What frightened the captain?", "geese"),
    "prices.csv": ("A trumpet costs three hundred crowns.", "What is a trumpet's price?", "three"),
    "stars.tsv": ("Sirius is the brightest star.", "Which star shines most?", "Sirius"),
    "stock.xlsx": ("Seven violins stand in the cellar.", "Where are the violins?", "cellar"),
    "team.ods": ("Oskar repairs the church organ.", "Who mends the organ?", "Oskar"),
    "events.jsonl": ("The regatta starts on Whit Monday.", "When is the regatta?", "Whit Monday"),
    "config.json": ("The greenhouse is heated by a boiler.", "What warms the plants?", "boiler"),
    "invoice.eml": ("Please pay the plumber by Friday.", "Who has to be paid?", "plumber"),
    "archive.mbox": ("The choir meets in the barn.", "Where does the choir sing?", "barn"),
    "volume.py": ("Compute how loud the siren is.", "loudness of the siren", "siren"),
}


def book(fact: str) -> Book:
    return (Section(1, "Overview", (fact,)),)


def in_html(book: Book) -> bytes:
    return f"<!doctype html><meta charset=utf-8><body>{page(book)}".encode()


def in_xhtml(book: Book) -> bytes:
    return f'<html xmlns="http://www.w3.org/1999/xhtml"><body>{page(book)}</body></html>'.encode()


WRITERS: dict[str, Callable[[Book], bytes]] = {
    ".md": lambda book: text_of(book, lambda section: f"# {section.title}").encode(),
    ".txt": lambda book: book[0].paragraphs[0].encode(),
    ".html": in_html,
    ".xhtml": in_xhtml,
    ".pdf": pdf,
    ".docx": word_file,
    ".pptx": slides,
    ".epub": epub,
    ".csv": lambda book: table(book, ","),
    ".tsv": lambda book: table(book, "\t"),
    ".xlsx": lambda book: xlsx(sheets(book)),
    ".ods": lambda book: ods(sheets(book)),
    ".jsonl": lambda book: "\n".join(map(json.dumps, records(book))).encode(),
    ".json": lambda book: json.dumps(records(book)).encode(),
    ".eml": lambda book: letter("News", book[0].paragraphs),
    ".mbox": mailbox,
    ".py": python,
}


@pytest.fixture(scope="module")
async def shelf(client: httpx.AsyncClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The index of a folder with all the files."""
    folder = tmp_path_factory.mktemp("shelf")
    for name, (fact, _, _) in FACTS.items():
        (folder / name).write_bytes(WRITERS[Path(name).suffix](book(fact)))
    await client.post("/indexes", json={"name": "shelf"})
    report = await add_documents(client, "shelf", json={"folder": str(folder)})
    assert (report["failed"], report["added"]) == ([], len(FACTS))
    return "shelf"


@pytest.mark.parametrize("name", FACTS)
async def test_what_a_file_says_is_found_and_cited_at_its_place(
    name: str, client: httpx.AsyncClient, shelf: str
) -> None:
    _, question, answer = FACTS[name]
    found = await search(client, shelf, question, limit=3)
    best = next(passage for passage in found if passage["source"] == name)
    assert answer in best["text"]
    document = (await client.get(f"/indexes/{shelf}/documents/{best['document']}")).json()
    assert document["text"][best["start"] : best["end"]] == best["text"]
    at = document["text"].index(answer)
    span = {**best, "start": at, "end": at + len(answer)}
    cited = await cite(client, shelf, span)
    assert (cited["text"], cited["changed"]) == (answer, False)
    assert cited["before"] + cited["text"] + cited["after"] in document["text"]


async def test_a_passage_of_pages_tells_its_page(client: httpx.AsyncClient, shelf: str) -> None:
    found = await search(client, shelf, "glacier", where={"source": "report.pdf"})
    assert [passage["page"] for passage in found] == [1]
    assert found[0]["heading"] == ["Overview"]


async def test_a_file_of_an_unknown_kind_is_refused_and_names_what_is_read(
    client: httpx.AsyncClient, shelf: str
) -> None:
    files = {"files": ("disk.iso", b"\0" * 100)}
    response = await client.post(f"/indexes/{shelf}/documents", files=files)
    assert response.json()["error"]["code"] == "unsupported_document"
    picture = {"files": ("cat.png", b"\x89PNG\r\n\x1a\nbroken")}
    response = await client.post(f"/indexes/{shelf}/documents", files=picture)
    assert response.status_code == 422
