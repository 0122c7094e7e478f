"""The shipped agents that draw, speak, look and listen: what they make of what they are given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup

from config.errors import Invalid, NotFound, Unavailable
from config.settings import Settings
from graphs.catalog import Catalog
from graphs.run_context import RunContext
from models.capabilities import Voice
from tests.support.graph_runs import Transcript, run
from tests.support.graphs import FakeIndexes, FakeModels, FakePassage, chat, context
from tests.support.media import FakeMediaModels, png
from tests.support.tenants import TENANT
from tools.artifacts import Artifacts
from tools.media import Media
from tools.media_deps import MediaToolDeps
from tools.references import ReferenceReader
from tools.registry import ToolDeps, load_toolbox
from tools.safe_fetch import FetchLimits

STORY = "A red circle rolled.\n\nA blue square stood.\n\nThey became friends."
TALE = "The fox woke up. It looked for its hat. A bird had the hat! They became friends."


@pytest.fixture(scope="module")
async def media() -> AsyncIterator[Media]:
    media = Media()
    yield media
    await media.close()


@dataclass
class House:
    """The shipped agents over models that draw, look, speak and listen."""

    catalog: Catalog
    artifacts: Artifacts
    media: Media
    workshop: FakeMediaModels = field(default_factory=FakeMediaModels)
    indexes: FakeIndexes = field(default_factory=FakeIndexes)
    added: list[dict[str, Any]] = field(default_factory=list)

    async def run(self, agent: str, used: RunContext, **given: Any) -> Transcript:
        files = ReferenceReader(self.artifacts, FetchLimits())
        making = MediaToolDeps(self.workshop, self.media, self.artifacts, files)
        tools = load_toolbox(ToolDeps(self._search, add=self._add, media=making))
        return await run(self.catalog.get(agent), given, replace(used, tools=tools))

    async def _search(self, names: list[str], query: str, **how: Any) -> dict[str, Any]:
        return {"passages": []}

    async def _add(self, name: str, text: str, **how: Any) -> dict[str, Any]:
        self.added.append({"index": name, "text": text, **how})
        return {"index": name, "document": "d1", "source": how["source"], "unchanged": False}

    async def page(self, artifact: Mapping[str, Any]) -> BeautifulSoup:
        return BeautifulSoup(
            await self.artifacts.read(artifact["id"], tenant=TENANT), "html.parser"
        )


@pytest.fixture
def house(tmp_path: Path, media: Media) -> House:
    return House(Catalog(Settings(agents=tmp_path)), Artifacts(tmp_path), media)


async def test_a_storybook_of_a_topic_is_told_drawn_and_read_aloud(house: House) -> None:
    teller = chat(STORY, "A circle on grass.", "A square in rain.", "Both in the sun.")
    used = context(models=FakeModels({"chat": teller}))
    transcript = await house.run("storybook", used, topic="a red circle", scenes=3, seed=10)
    assert transcript.output["title"] == "A red circle"
    page = await house.page(transcript.output["html"])
    texts = [article.select_one("p").text for article in page.select("article")]  # type: ignore[union-attr]
    assert texts == STORY.split("\n\n")
    assert len(page.select("article img[alt]")) == len(page.select("article audio")) == 3
    asked = house.workshop.painter.asked
    assert {each.prompt for each in asked} == {
        "A circle on grass.",
        "A square in rain.",
        "Both in the sun.",
    }
    assert {each.seed for each in asked} == {10, 11, 12}
    assert [each["alt"] for each in page.select("article img")] == ["plain 32x24 picture"] * 3


async def test_a_storybook_of_ones_own_text_needs_no_language_model(house: House) -> None:
    transcript = await house.run("storybook", context(), text=TALE, scenes=4, title="The hat")
    page = await house.page(transcript.output["html"])
    texts = [article.select_one("p").text for article in page.select("article")]  # type: ignore[union-attr]
    assert " ".join(texts) == TALE
    assert sorted(each.prompt for each in house.workshop.painter.asked) == sorted(texts)
    assert (transcript.output["title"], transcript.output["scenes"]) == ("The hat", 4)
    credits = page.footer.text if page.footer else ""
    assert "painter" in credits
    assert "Story by" not in credits
    assert transcript.output["epub"]["media_type"] == "application/epub+zip"


async def test_a_storybook_of_a_topic_alone_says_what_it_needs(house: House) -> None:
    with pytest.raises(Unavailable, match=r"Give the story itself\s+as `text`.*`model`") as caught:
        await house.run("storybook", context(), topic="a red circle")
    assert caught.value.code == "needs_language_model"
    assert await house.artifacts.list(tenant=TENANT) == []


async def test_style_is_in_the_prompt_of_every_picture(house: House) -> None:
    await house.run("storybook", context(), text="One. Two.", style="watercolour")
    prompts = {each.prompt for each in house.workshop.painter.asked}
    assert prompts == {"One., watercolour", "Two., watercolour"}


async def test_storybook_reports_progress_for_each_picture(house: House) -> None:
    transcript = await house.run("storybook", context(), text=TALE, scenes=4)
    counted = [
        (each["done"], each["total"]) for each in transcript.kinds("progress") if "done" in each
    ]
    assert counted.count((4, 4)) >= 4
    made = [each["media_type"].partition(";")[0] for each in transcript.kinds("artifact")]
    assert (made.count("image/png"), made.count("audio/mpeg")) == (4, 4)
    assert made[-2:] == ["text/html", "application/epub+zip"]


async def test_illustrate_draws_what_a_model_thinks_of(house: House) -> None:
    transcript = await house.run(
        "illustrate", context("A hill.\n\nA lake."), topic="Norway", count=2
    )
    assert [each["scene"] for each in transcript.output["pictures"]] == ["A hill.", "A lake."]
    assert all(each["image"]["url"] for each in transcript.output["pictures"])


async def test_illustrate_draws_the_sentences_of_a_topic_without_a_model(house: House) -> None:
    transcript = await house.run("illustrate", context(), topic="A red circle. A blue square.")
    assert transcript.output["scenes"] == ["A red circle.", "A blue square."]


async def test_narrate_reads_a_text_chapter_by_chapter(house: House) -> None:
    text = "# The fox\n\nIt **ran**. It hid.\n\n# The end\n\nIt slept."
    transcript = await house.run("narrate", context(), text=text, format="wav")
    assert [each["title"] for each in transcript.output["chapters"]] == ["The fox", "The end"]
    assert transcript.output["audio"]["media_type"] == "audio/wav"
    said = " ".join(request.text for request in house.workshop.speaker.asked)
    assert "*" not in said
    assert "#" not in said


async def test_narrate_reads_out_what_an_index_says(house: House) -> None:
    passages = [FakePassage("p1", "Start the service with make serve.")]
    house.indexes.passages = passages
    used = context(indexes=house.indexes)
    transcript = await house.run("narrate", used, question="How do I start the service")
    assert [each["title"] for each in transcript.output["chapters"]] == ["Start"]
    assert "make serve" in house.workshop.speaker.asked[0].text
    scripted = context("# One\n\nIt starts.\n\n# Two\n\nIt stops.", indexes=house.indexes)
    transcript = await house.run("narrate", scripted, question="How do I start the service")
    assert [each["title"] for each in transcript.output["chapters"]] == ["One", "Two"]


async def test_describe_indexes_what_is_seen_under_the_picture(house: House) -> None:
    kept = await house.artifacts.put(png("a", 20, 10), media_type="image/png", tenant=TENANT)
    picture = {"id": kept.id, "url": f"/artifacts/{kept.id}"}
    transcript = await house.run("describe", context(), picture=picture, question="How large?")
    assert transcript.output["caption"] == "plain 20x10 picture"
    assert transcript.output["document"] == "d1"
    (added,) = house.added
    assert (added["index"], added["create"], added["source"]) == ("pictures", True, picture["url"])
    assert added["text"].startswith("plain 20x10 picture\n\nHow large?")
    assert added["metadata"] == {"picture": picture["url"], "captioned_by": "looker"}
    transcript = await house.run("describe", context(), picture=kept.id, index="")
    assert (transcript.output["document"], len(house.added)) == (None, 1)


async def test_describe_refuses_an_input_that_is_no_picture(house: House) -> None:
    with pytest.raises(Invalid, match=r"picture: names no file") as caught:
        await house.run("describe", context(), picture="photo.jpg")
    assert caught.value.details["field"] == "input.picture"


async def test_a_voice_note_is_heard_answered_and_spoken(house: House) -> None:
    sound = await house.run("narrate", context(), text="Anything.")
    audio = sound.output["audio"]
    model = chat("By make serve.")
    transcript = await house.run(
        "voice_note", context(models=FakeModels({"chat": model})), audio=audio
    )
    assert transcript.output["transcript"] == "How do I start the service?"
    assert transcript.output["answer"] == "By make serve."
    assert house.workshop.speaker.asked[-1].text == "By make serve."
    assert transcript.output["audio"]["seconds"] > 0


async def test_voice_note_gives_a_language_model_what_the_documents_say(house: House) -> None:
    audio = (await house.run("narrate", context(), text="Anything.")).output["audio"]
    house.indexes.passages = [FakePassage("p1", "Start the service with make serve.")]
    model = chat("By make serve [1].")
    used = context(models=FakeModels({"chat": model}), indexes=house.indexes)

    transcript = await house.run("voice_note", used, audio=audio)

    assert "with make serve" in str(model.asked[-1][-1].content)
    assert [each["passage"] for each in transcript.output["citations"]] == ["p1"]
    assert house.workshop.speaker.asked[-1].text == "By make serve."


async def test_voice_note_needs_no_documents_to_talk(house: House) -> None:
    audio = (await house.run("narrate", context(), text="Anything.")).output["audio"]
    house.indexes.failures = [NotFound("There is no index.", code="index_not_found")]
    used = context(models=FakeModels({"chat": chat("Hello.")}), indexes=house.indexes)

    transcript = await house.run("voice_note", used, audio=audio)

    assert transcript.output["answer"] == "Hello."


@pytest.mark.parametrize(("spoken", "said_in"), [("de", ["de"]), ("fi", ["fi", None])])
async def test_voice_note_answers_in_the_language_that_was_spoken_where_the_voice_has_it(
    house: House, spoken: str, said_in: list[str | None]
) -> None:
    audio = (await house.run("narrate", context(), text="Anything.")).output["audio"]
    house.workshop.speaker.asked.clear()
    house.workshop.speaker.voices = (Voice("plain", "en"), Voice("klar", "de"))
    house.workshop.listener.language = spoken
    used = context(models=FakeModels({"chat": chat("So ist es.")}))

    transcript = await house.run("voice_note", used, audio=audio)

    assert transcript.output["language"] == spoken
    assert [request.language for request in house.workshop.speaker.asked] == said_in
    assert transcript.output["audio"]["seconds"] > 0


async def test_a_voice_note_is_answered_from_documents_without_a_language_model(
    house: House,
) -> None:
    sound = await house.run("narrate", context(), text="Anything.")
    house.indexes.passages = [FakePassage("p1", "Start the service with make serve. So it is.")]
    used = context(indexes=house.indexes)
    transcript = await house.run("voice_note", used, audio=sound.output["audio"])
    assert transcript.output["answer"].startswith("Start the service with make serve")
    assert house.workshop.speaker.asked[-1].text == "Start the service with make serve"
