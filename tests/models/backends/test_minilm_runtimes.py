"""The embedder on each of its runtimes, in its real worker."""

from __future__ import annotations

import asyncio
import json
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from config.errors import Invalid, Unavailable
from config.settings import load_settings
from models.capabilities import Embed
from models.manager import open_models
from tests.support.tenants import TENANT

BOUND_S = 120.0
TEXTS = ["one", "Undo the last commit. " * 4, "A table of " + "numbers " * 90, "日本語 🙂"]
SPANS = [[(0, 3)], [(0, 21), (21, 44)], [], [(0, 2)]]

with_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="needs the extra `fast`")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@asynccontextmanager
async def embedder(
    home: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, **options: object
) -> AsyncIterator[Embed]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    models = {"minilm": {"options": {"threads": 2, "dtype": "float32", **options}}}
    (home / "models.yaml").write_text(json.dumps({"models": models}))
    async with asyncio.timeout(BOUND_S), open_models(load_settings(home=home)) as opened:
        async with opened.lease("minilm", "embed", tenant=TENANT) as lease:
            yield lease.embed


def runtime(embed: Embed) -> str:
    name: str = embed.runtime  # type: ignore[attr-defined]
    return name


@with_openvino
async def test_openvino_gives_the_vectors_and_parts_of_pytorch(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for name in ("torch", "openvino"):
        async with embedder(tmp_path, cache, monkeypatch, runtime=name) as embed:
            assert runtime(embed) == name
            found.append((await embed.embed_parts(TEXTS, SPANS), embed.fingerprint))
    (ours, own_print), (theirs, their_print) = found
    assert own_print == their_print
    for first, second in zip(_floats(ours.vectors.data), _floats(theirs.vectors.data), strict=True):
        assert first == pytest.approx(second, abs=1e-4)
    for mine, other in zip(ours.parts, theirs.parts, strict=True):
        assert mine.masses == pytest.approx(other.masses, rel=1e-3)


@with_openvino
async def test_openvino_is_chosen_by_itself_and_converted_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    for _ in range(2):
        async with embedder(tmp_path, cache, monkeypatch) as embed:
            assert runtime(embed) == "openvino"
        (folder,) = (cache / "motet").iterdir()
        kept.append((folder, (folder / "model.bin").stat().st_ino))
    assert kept[0] == kept[1]


@with_openvino
async def test_a_cache_that_cannot_be_written_means_pytorch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "motet").write_text("a file, where a folder would be")
    async with embedder(tmp_path, tmp_path, monkeypatch) as embed:
        assert runtime(embed) == "torch"
    with pytest.raises(Unavailable) as caught:
        async with embedder(tmp_path, tmp_path, monkeypatch, runtime="openvino"):
            pass
    assert caught.value.code == "runtime_unavailable"
    assert "could not be converted" in caught.value.message


@pytest.mark.skipif(find_spec("openvino") is not None, reason="openvino is installed")
async def test_without_openvino_pytorch_is_chosen_and_asking_for_it_says_what_to_install(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with embedder(tmp_path, cache, monkeypatch) as embed:
        assert runtime(embed) == "torch"
    with pytest.raises(Unavailable, match=r"\[fast\]"):
        async with embedder(tmp_path, cache, monkeypatch, runtime="openvino"):
            pass
    assert not os.listdir(cache)


async def test_a_wrong_option_is_told_with_its_field(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Invalid, match=r"options\.runtime"):
        async with embedder(tmp_path, cache, monkeypatch, runtime="tensorflow"):
            pass


def _floats(data: bytes) -> list[tuple[float, ...]]:
    return [struct.unpack("<384f", data[at : at + 1536]) for at in range(0, len(data), 1536)]
