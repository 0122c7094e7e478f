"""Books: one page that needs nothing else, and an EPUB that readers accept."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from bs4 import BeautifulSoup

from config.errors import Invalid
from models.capabilities import Sound
from tests.support.media import RATE, FakeMediaModels, png
from tests.support.tenants import TENANT
from tools.artifacts import Artifacts
from tools.book.pages import Piece, split_paragraphs
from tools.book.tool import book_tool
from tools.media import Media
from tools.media_deps import MediaToolDeps
from tools.references import ReferenceReader
from tools.safe_fetch import FetchLimits
from tools.spec import ToolContext

OPF = "{http://www.idpf.org/2007/opf}"
SMIL = "{http://www.w3.org/ns/SMIL}"
XHTML = "{http://www.w3.org/1999/xhtml}"
HOSTILE = '<script>alert("1")</script> & "so on"'


@pytest.fixture(scope="module")
async def media() -> AsyncIterator[Media]:
    media = Media()
    yield media
    await media.close()


@pytest.fixture
def making(tmp_path: Path, media: Media) -> MediaToolDeps:
    artifacts = Artifacts(tmp_path)
    return MediaToolDeps(
        FakeMediaModels(), media, artifacts, ReferenceReader(artifacts, FetchLimits())
    )


async def scenes(making: MediaToolDeps, count: int = 3) -> list[dict[str, Any]]:
    """Scenes of two sentences in two paragraphs, with a picture and a second of sound."""
    found = []
    for number in range(1, count + 1):
        picture = await making.artifacts.put(
            png(f"picture {number}"), media_type="image/png", tenant=TENANT
        )
        sound = await making.media.of_tenant(TENANT).encode(
            [Sound(bytes(2 * RATE), RATE, "")], "mp3"
        )
        audio = await making.artifacts.put(sound.data, media_type=sound.media_type, tenant=TENANT)
        found.append(
            {
                "text": f"It was day {number}. It was warm.\n\nNobody said a word.",
                "image": {"id": picture.id},
                "alt": f"What is seen on day {number}",
                "audio": {"id": audio.id, "seconds": 1.0},
                "sentences": [
                    {"text": f"It was day {number}.", "start_s": 0.0, "end_s": 0.4},
                    {"text": "It was warm.", "start_s": 0.5, "end_s": 0.8},
                ],
            }
        )
    return found


async def made(making: MediaToolDeps, **arguments: Any) -> tuple[BeautifulSoup, zipfile.ZipFile]:
    result = await book_tool(making).call(arguments, ToolContext(tenant=TENANT))
    page = await making.artifacts.read(result["html"]["id"], tenant=TENANT)
    file = await making.artifacts.read(result["epub"]["id"], tenant=TENANT)
    return BeautifulSoup(page, "html.parser"), zipfile.ZipFile(io.BytesIO(file))


async def test_the_page_holds_its_pictures_and_sounds(making: MediaToolDeps) -> None:
    page, _ = await made(making, title="Three days", scenes=await scenes(making), language="en-GB")
    assert page.html
    assert page.html["lang"] == "en-GB"
    assert page.title
    assert page.title.string == "Three days"
    pictures = page.select("article figure img")
    assert [picture["alt"] for picture in pictures] == [
        f"What is seen on day {number}" for number in (1, 2, 3)
    ]
    assert all(str(each["src"]).startswith("data:image/png;base64,") for each in pictures)
    sounds = page.select("article audio")
    assert len(sounds) == 3
    assert all(str(each["src"]).startswith("data:audio/mpeg;base64,") for each in sounds)
    outside = re.compile(r"""(?:src|href)=["'](?!data:|#)|url\(["']?https?:|@import""")
    assert not outside.search(str(page))


async def test_the_page_can_be_read_without_seeing_it(making: MediaToolDeps) -> None:
    page, _ = await made(making, title="Three days", scenes=await scenes(making))
    assert len(page.select("h1")) == 1
    assert page.select_one("main")
    assert page.select_one("nav[aria-label]")
    assert all(button.get("aria-label") or button.text for button in page.select("button"))
    assert all(article["aria-label"] for article in page.select("article"))
    assert all(sound["aria-label"] for sound in page.select("audio"))


async def test_each_sentence_knows_when_it_is_read(making: MediaToolDeps) -> None:
    page, _ = await made(making, title="Three days", scenes=await scenes(making, 1))
    said = [(str(each["data-start"]), each.text) for each in page.select(".said")]
    assert said == [("0.0", "It was day 1."), ("0.5", "It was warm.")]
    texts = [each.text for each in page.select(".text > p:not(.number)")]
    assert texts == ["It was day 1. It was warm.", "Nobody said a word."]


async def test_the_epub_is_what_the_standard_asks_for(making: MediaToolDeps) -> None:
    _, file = await made(making, title="Three days", scenes=await scenes(making), author="Anna")
    first = file.infolist()[0]
    assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
    assert file.read("mimetype") == b"application/epub+zip"
    container = ET.fromstring(file.read("META-INF/container.xml"))
    root = next(each.attrib["full-path"] for each in container.iter() if "full-path" in each.attrib)
    package = ET.fromstring(file.read(root))
    items = {item.attrib["id"]: item.attrib for item in package.iter(f"{OPF}item")}
    folder = str(PurePosixPath(root).parent)
    listed = {f"{folder}/{item['href']}" for item in items.values()}
    assert set(file.namelist()) == listed | {"mimetype", "META-INF/container.xml", root}
    assert [item["id"] for item in items.values() if "nav" in item.get("properties", "")] == ["nav"]
    spine = [each.attrib["idref"] for each in package.iter(f"{OPF}itemref")]
    assert spine == ["title", "scene-1", "scene-2", "scene-3"]
    kinds = [item["media-type"] for item in items.values()]
    assert (kinds.count("image/png"), kinds.count("audio/mpeg")) == (3, 3)
    for name in listed:
        if name.endswith((".xhtml", ".smil", ".opf")):
            ET.fromstring(file.read(name))


async def test_the_epub_says_which_sentence_sounds_when(making: MediaToolDeps) -> None:
    _, file = await made(making, title="Three days", scenes=await scenes(making, 2))
    overlay = ET.fromstring(file.read("book/scene-2.smil"))
    page = ET.fromstring(file.read("book/scene-2.xhtml"))
    ids = {each.attrib["id"] for each in page.iter(f"{XHTML}span")}
    texts = [each.attrib["src"].split("#") for each in overlay.iter(f"{SMIL}text")]
    assert [(name, id in ids) for name, id in texts] == [("scene-2.xhtml", True)] * 2
    ends = [each.attrib["clipEnd"] for each in overlay.iter(f"{SMIL}audio")]
    assert ends == ["0.400s", "0.800s"]


async def test_texts_of_a_book_are_escaped_in_its_markup(making: MediaToolDeps) -> None:
    given = await scenes(making, 1)
    given[0] |= {"text": HOSTILE, "alt": HOSTILE, "title": HOSTILE, "caption": HOSTILE}
    page, file = await made(
        making, title=HOSTILE, author=HOSTILE, subtitle=HOSTILE, credits=[HOSTILE], scenes=given
    )
    assert len(page.select("script")) == 1
    assert page.h1
    assert page.h1.text == HOSTILE
    assert page.select_one("figure img")["alt"] == HOSTILE  # type: ignore[index]
    scene = ET.fromstring(file.read("book/scene-1.xhtml"))
    assert not list(scene.iter(f"{XHTML}script"))


async def test_characters_that_xml_cannot_hold_leave_the_book(making: MediaToolDeps) -> None:
    controls = "".join(map(chr, (*range(0x20), 0x7F, 0x85, 0xFFFE, 0xFFFF)))
    parts = await scenes(making, 1)
    parts[0] |= {"text": f"A red circle\fstood{controls}there.", "alt": f"A{controls}circle"}

    _, book = await made(making, title=f"A{controls}book", scenes=parts, author=f"Ann{controls}a")

    for name in book.namelist():
        if name.endswith((".xhtml", ".opf", ".smil")):
            ET.fromstring(book.read(name))
    assert "A red circle stood" in book.read("book/scene-1.xhtml").decode()


async def test_a_book_may_have_neither_pictures_nor_sounds(making: MediaToolDeps) -> None:
    page, file = await made(making, title="Words", scenes=[{"text": "One."}, {"text": "Two."}])
    assert len(page.select("article.plain")) == 2
    assert not page.select("audio")
    assert not page.select(".player")
    assert not [name for name in file.namelist() if name.endswith((".smil", ".mp3", ".png"))]


async def test_sounds_that_not_every_reader_plays_become_mp3(making: MediaToolDeps) -> None:
    wave = await making.media.of_tenant(TENANT).encode([Sound(bytes(2 * RATE), RATE, "")], "wav")
    kept = await making.artifacts.put(wave.data, media_type="audio/wav", tenant=TENANT)
    scene = {"text": "One.", "audio": kept.id}
    page, _ = await made(making, title="Words", scenes=[scene])
    assert str(page.select_one("audio")["src"]).startswith("data:audio/mpeg")  # type: ignore[index]


async def test_what_is_no_picture_is_refused(making: MediaToolDeps) -> None:
    text = await making.artifacts.put(b"no picture", media_type="image/png", tenant=TENANT)
    with pytest.raises(Invalid):
        await made(making, title="Words", scenes=[{"text": "One.", "image": text.id}])


def test_sentences_are_found_in_the_text_as_it_stands() -> None:
    said = [
        {"text": "One  thing.", "start_s": 0, "end_s": 1},
        {"text": "Never written.", "start_s": 1, "end_s": 2},
        {"text": "Another.", "start_s": 2, "end_s": 3},
    ]
    assert split_paragraphs("One\nthing. And then\n\nAnother. End", said) == [
        [Piece("One\nthing.", 1, 0, 1), Piece(" And then")],
        [Piece("Another.", 3, 2, 3), Piece(" End")],
    ]
    assert split_paragraphs("  Plain.  \n\n ", []) == [[Piece("Plain.")]]
