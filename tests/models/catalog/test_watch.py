"""An edit of models.yaml counts at once; a broken one changes nothing and is told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.errors import NotFound
from config.settings import load_settings
from models.catalog.file import ModelsFile, load_models
from models.catalog.watch import ModelsWatch, watch_models
from tests.support.manager import FILE, Scene
from tests.support.tenants import TENANT

BOUND_S = 120.0
ONE = "models:\n  one: {task: chat, backend: openai, source: a}\n"
TWO = ONE.replace("source: a", "source: b")


class Replaced:
    """What was taken over, one after the other."""

    def __init__(self) -> None:
        self.files: asyncio.Queue[ModelsFile] = asyncio.Queue()

    def __call__(self, file: ModelsFile) -> None:
        self.files.put_nowait(file)

    async def source(self) -> str | None:
        file = await asyncio.wait_for(self.files.get(), BOUND_S)
        return file.models["one"].source if "one" in file.models else None


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
async def replaced(tmp_path: Path) -> AsyncIterator[Replaced]:
    replaced = Replaced()
    settings = load_settings(home=tmp_path)
    async with watch_models(settings, load_models(settings), replaced):
        yield replaced


async def test_file_that_is_created_replaced_or_removed_is_followed(
    replaced: Replaced, tmp_path: Path
) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(ONE)
    assert await replaced.source() == "a"
    (tmp_path / "new").write_text(TWO)
    os.replace(tmp_path / "new", file)
    assert await replaced.source() == "b"
    file.unlink()
    assert await replaced.source() is None


def test_a_broken_edit_keeps_the_old_file_and_says_what_is_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    replaced: list[ModelsFile] = []
    file = tmp_path / "models.yaml"
    file.write_text(ONE)
    settings = load_settings(home=tmp_path)
    watch = ModelsWatch(settings, load_models(settings), replaced.append)
    file.write_text("models:\n  one: {task: sing}\n")
    assert not watch.reload()
    assert watch.problem
    assert watch.problem.details["line"] == 2
    assert f"{file}:2" in caplog.text
    assert not watch.reload()
    assert len(caplog.records) == 1
    file.write_text(TWO)
    assert watch.reload()
    assert watch.problem is None
    assert [each.models["one"].source for each in replaced] == ["b"]


async def test_an_edit_before_the_watch_was_up_counts_too(tmp_path: Path) -> None:
    settings, replaced = load_settings(home=tmp_path), Replaced()
    before = load_models(settings)
    (tmp_path / "models.yaml").write_text(ONE)
    async with watch_models(settings, before, replaced):
        assert await replaced.source() == "a"


def test_edit_that_says_the_same_replaces_nothing(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(ONE)
    settings = load_settings(home=tmp_path)
    watch = ModelsWatch(settings, load_models(settings), lambda file: pytest.fail("taken over"))
    file.write_text(f"# a remark\n{ONE}")
    assert not watch.reload()


CHANGED = """
models:
  first: {task: chat, backend: reader, memory_bytes: 7}
  new: {task: chat, backend: openai, source: a}
roles: {chat: [new, first]}
"""


async def test_edited_models_are_loaded_anew_and_removed_ones_unloaded(scene: Scene) -> None:
    async with scene.models() as models:
        reader = scene.fakes["reader"]
        async with (
            models.lease("first", "chat", tenant=TENANT),
            models.lease("vectors", "embed", tenant=TENANT),
        ):
            (scene.home / "models.yaml").write_text(CHANGED)
            models.replace_file(load_models(load_settings(home=scene.home)))
            assert reader.log == ["load first"]
        async with models.lease("chat", "chat", tenant=TENANT) as lease:
            assert lease.model.name == "new"
        async with asyncio.timeout(BOUND_S):
            async with models.lease("first", "chat", tenant=TENANT) as lease:
                assert lease.model.memory_bytes == 7
        assert reader.log == ["load first", "unload first", "load first"]
        assert "vectors" not in {status.model.name for status in models.status()}
        with pytest.raises(NotFound):
            await models.resolve("vectors", "embed")


async def test_model_newly_marked_preload_is_loaded(scene: Scene) -> None:
    async with scene.models() as models:
        events = models.follow_events()
        (scene.home / "models.yaml").write_text(
            FILE.replace("bytes: 60}", "bytes: 9, preload: true}")
        )
        models.replace_file(load_models(load_settings(home=scene.home)))
        async with asyncio.timeout(BOUND_S):
            async for event in events:
                if (event["event"], event["model"]) == ("ready", "huge"):
                    break


async def test_other_settings_of_a_back_end_make_its_driver_anew(scene: Scene) -> None:
    async with scene.models() as models:
        before = scene.fakes["reader"]
        async with models.lease("first", "chat", tenant=TENANT):
            del scene.fakes.drivers["reader"]
            (scene.home / "models.yaml").write_text(FILE + "backends: {reader: {x: 1}}")
            models.replace_file(load_models(load_settings(home=scene.home)))
        async with models.lease("first", "chat", tenant=TENANT):
            assert scene.fakes["reader"] is not before
            assert scene.fakes["reader"].context.options == {"x": 1}
            assert before.log == ["load first", "unload first"]
    assert before.closed
