"""Agents that draw, look, speak and listen, with real models in real workers of a real server."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import sys
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from bs4 import BeautifulSoup

from benchmarks.server import ROOT, ServerProcess
from tests.support.command import Motet
from tests.support.forked import ForkedServer
from tests.support.media import png
from tests.support.ollama import Ollama
from tests.support.script import Call, Turn
from tests.support.service import AGENTS, error_of, open_client, read_events, run_to_end
from tools.media import kind_of
from tools.references import encode_data_url

SMALL = Path(ROOT, "models", "small")
STORY = (
    "A red circle stood on a blue ground. It was alone. Then a yellow square came over the hill. "
    "They talked until the evening."
)
MODELS = """\
version: 1
roles: {{transcribe: [hearer], image: [sd]}}
models:
  sd: {{task: image, backend: diffusers, source: {folder}/sd, options: {{steps: 5}}}}
  hearer: {{task: transcribe, backend: transformers, source: {folder}/hearer}}
"""


@dataclass(frozen=True)
class Studio:
    """A server with small models, and a double of Ollama whose model is scripted."""

    server: ServerProcess
    client: httpx.AsyncClient
    ollama: Ollama


async def _made(folder: Path, library: str, name: str) -> None:
    """A model with random weights, made by a program: torch has no place in this process."""
    program = ROOT / "tests" / "support" / "tiny" / f"make_{library}.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, program, folder, name),
        env=environment,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await asyncio.wait_for(process.wait(), 120) == 0


@pytest.fixture(scope="module")
async def studio(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Studio]:
    home = tmp_path_factory.mktemp("studio")
    folder = tmp_path_factory.mktemp("models")
    await asyncio.gather(_made(folder, "transformers", "hearer"), _made(folder, "diffusers", "sd"))
    (home / "models.yaml").write_text(MODELS.format(folder=folder))
    shutil.copytree(AGENTS, home / "agents", ignore=shutil.ignore_patterns("__pycache__"))
    ollama = Ollama()
    ollama.start()
    server = ForkedServer(home, drain_s="1", ollama_url=ollama.url)
    await server.start()
    try:
        async with open_client(server.url) as client:
            yield Studio(server, client, ollama)
    finally:
        await server.stop()
        ollama.stop()


async def events_of(studio: Studio, agent: str, given: dict[str, Any]) -> list[dict[str, Any]]:
    path = f"/agents/{agent}/run"
    async with studio.client.stream("POST", path, json={"input": given}) as stream:
        events = [event for _, event in await read_events(stream)]
    assert events[-1]["type"] == "run.finished", events[-1]["data"]
    return events


async def artifact_of(studio: Studio, artifact: dict[str, Any]) -> bytes:
    fetched = await studio.client.get(artifact["url"])
    assert fetched.headers["content-type"].startswith(artifact["media_type"].partition(";")[0])
    assert len(fetched.content) == artifact["size_bytes"]
    return fetched.content


def check_page(data: bytes, scenes: int) -> BeautifulSoup:
    page = BeautifulSoup(data, "html.parser")
    pictures, sounds = page.select("article img"), page.select("article audio")
    assert (len(pictures), len(sounds)) == (scenes, scenes)
    assert all(each["alt"] for each in pictures)
    assert all(str(each["src"]).startswith("data:image/") for each in pictures)
    assert all(str(each["src"]).startswith("data:audio/mpeg") for each in sounds)
    return page


async def test_a_storybook_of_ones_own_text(studio: Studio) -> None:
    given = {"text": STORY, "scenes": 2, "title": "The circle", "seed": 1}
    events = await events_of(studio, "storybook", given)
    output = events[-1]["data"]["output"]
    page = check_page(await artifact_of(studio, output["html"]), 2)
    texts = [each.text for each in page.select(".text > p:not(.number)")]
    assert " ".join(texts) == STORY
    with zipfile.ZipFile(io.BytesIO(await artifact_of(studio, output["epub"]))) as book:
        assert book.testzip() is None
        assert book.namelist()[0] == "mimetype"
        assert len([name for name in book.namelist() if name.endswith(".mp3")]) == 2
    counted = [event["data"] for event in events if event["type"] == "progress"]
    assert any(each.get("done") == each.get("total") == 2 for each in counted)
    steps = [each for each in counted if "step_total" in each]
    assert steps
    assert any(each.get("preview", "").startswith("data:image/jpeg") for each in steps)
    kinds = [event["data"]["media_type"] for event in events if event["type"] == "artifact"]
    assert (kinds.count("image/png"), kinds.count("audio/mpeg")) == (2, 2)


@pytest.mark.skipif(not (SMALL / "drawing").is_dir(), reason="the small models are not here")
async def test_a_storybook_of_a_topic_of_the_small_world(studio: Studio) -> None:
    small = {"model": "storyteller", "image_model": "drawing"}
    given = {"topic": "a red circle and a blue square", "scenes": 3, "seed": 1, **small}
    events = await events_of(studio, "storybook", given)
    output = events[-1]["data"]["output"]
    assert output["title"] == "A red circle and a blue square"
    page = check_page(await artifact_of(studio, output["html"]), output["scenes"])
    assert page.footer
    assert "storyteller" in page.footer.text
    assert "drawing" in page.footer.text


async def test_a_picture_says_where_it_comes_from(studio: Studio) -> None:
    given = {"topic": "A red circle on a blue ground.", "count": 1, "seed": 4}
    run = await run_to_end(studio.client, "illustrate", given)
    (picture,) = run["output"]["pictures"]
    assert kind_of(await artifact_of(studio, picture["image"])) == "image/png"
    about = (await studio.client.get(f"{picture['image']['url']}/about")).json()["provenance"]
    assert (about["run"], about["tool"], about["seed"]) == (run["run_id"], "image", 4)
    assert about["prompt"] == given["topic"]
    assert about["model"] == picture["model"]
    assert about["settings"]["steps"] > 0


async def test_a_topic_alone_needs_a_language_model(studio: Studio) -> None:
    body = {"input": {"topic": "a red circle"}, "stream": False}
    response = await studio.client.post("/agents/storybook/run", json=body)
    error = error_of(response, 503, "needs_language_model")
    assert "`text`" in error["message"]
    assert "`storyteller`" in error["message"]


async def test_a_storybook_is_watched_and_saved_from_the_command_line(
    studio: Studio, tmp_path: Path
) -> None:
    (tmp_path / "story.txt").write_text(STORY)
    told = await Motet(studio.server.home)(
        *("run", "storybook", f"text=@{tmp_path / 'story.txt'}", "scenes=2", "title=The circle"),
        *("--save", tmp_path),
    )
    assert told.status == 0, told
    lines = [line.strip() for line in told.out.splitlines()]
    assert "draw: 1 of 2" in lines
    assert "draw: 2 of 2" in lines
    assert f"html {tmp_path}/the-circle.html" in told.out
    check_page((tmp_path / "the-circle.html").read_bytes(), 2)
    assert zipfile.is_zipfile(tmp_path / "the-circle.epub")


async def test_a_model_calls_the_tools_that_draw_and_speak(studio: Studio) -> None:
    turns: list[Turn] = []

    def answer(turn: Turn) -> Any:
        turns.append(turn)
        if len(turns) == 1:
            return Call("image", {"prompt": "a red circle on a blue ground", "seed": 2})
        if len(turns) == 2:
            return Call("speech", {"text": "It is red."})
        return "Here they are."

    studio.ollama.add("llama3", answer)
    try:
        events = await events_of(studio, "painter", {"wish": "Draw a circle and talk of it."})
    finally:
        studio.ollama.remove("llama3")
    assert events[-1]["data"]["output"]["answer"] == "Here they are."
    assert set(turns[0].tool_names) == {"image", "speech"}
    files = [event["data"] for event in events if event["type"] == "artifact"]
    assert [each["media_type"] for each in files] == ["image/png", "audio/mpeg"]
    assert files[0]["url"] in turns[1].messages[-1]["content"]
    for each in files:
        await artifact_of(studio, each)


async def test_a_chat_model_sees_the_pictures_of_a_prompt(studio: Studio) -> None:
    turns: list[Turn] = []

    def answer(turn: Turn) -> str:
        turns.append(turn)
        return "A plain colour."

    given = {"picture": encode_data_url(png("seen"), "image/png")}
    studio.ollama.add("llava", answer, capabilities=("completion", "vision"))
    try:
        run = await run_to_end(studio.client, "seeing", given | {"model": "ollama/llava"})
    finally:
        studio.ollama.remove("llava")
    assert run["output"]["answer"] == "A plain colour."
    assert len(turns[0].messages[-1]["images"]) == 1


async def test_a_model_that_cannot_see_says_so(studio: Studio) -> None:
    body = {
        "input": {"picture": encode_data_url(png("seen"), "image/png"), "model": "reader"},
        "stream": False,
    }
    response = await studio.client.post("/agents/seeing/run", json=body)
    error = error_of(response, 503, "needs_vision_model")
    assert "caption" in error["message"]


async def test_a_voice_note_is_heard_and_answered_aloud(studio: Studio) -> None:
    spoken = await run_to_end(studio.client, "narrate", {"text": "How are you?", "format": "wav"})
    studio.ollama.add("llama3", lambda turn: "I am well.")
    try:
        given = {"audio": spoken["output"]["audio"], "language": "en", "model": "ollama/llama3"}
        run = await run_to_end(studio.client, "voice_note", given)
    finally:
        studio.ollama.remove("llama3")
    output = run["output"]
    assert isinstance(output["transcript"], str)  # of random weights: no words to be sure of
    assert output["answer"] == "I am well."
    assert kind_of(await artifact_of(studio, output["audio"])) == "audio/mpeg"
