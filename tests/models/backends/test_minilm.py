"""The embedder, with the real model in its real worker."""

from __future__ import annotations

import asyncio
import math
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from config.settings import load_settings
from models.capabilities import Embed, Parts, Vectors
from models.manager import Models, open_models
from tests.support.tenants import TENANT

BOUND_S = 120.0


@pytest.fixture(scope="module")
async def models(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Models]:
    home: Path = tmp_path_factory.mktemp("home")
    (home / "models.yaml").write_text("models: {minilm: {options: {threads: 1}}}")
    async with open_models(load_settings(home=home)) as models:
        yield models


@pytest.fixture
async def embed(models: Models) -> AsyncIterator[Embed]:
    async with models.lease("embed", "embed", tenant=TENANT) as lease:
        yield lease.embed


def floats(vectors: Vectors, number: int) -> tuple[float, ...]:
    return struct.unpack(f"<{vectors.dimensions}f", vectors.row(number))


def similarity(vectors: Vectors, first: int, second: int) -> float:
    pairs = zip(floats(vectors, first), floats(vectors, second), strict=True)
    return sum(a * b for a, b in pairs)


async def test_meaning_is_near_and_rows_are_normalised(embed: Embed) -> None:
    vectors = await embed.embed(
        [
            "How do I undo the last commit?",
            "Reverting the most recent change in version control",
            "A recipe for potato soup",
        ],
        urgent=True,
    )
    assert (vectors.count, vectors.dimensions, embed.dimensions) == (3, 384, 384)
    assert similarity(vectors, 0, 1) > 0.4 > 0.2 > similarity(vectors, 0, 2)
    for number in range(3):
        assert math.isclose(similarity(vectors, number, number), 1.0, abs_tol=1e-4)


async def test_bulk_and_query_give_the_same_vectors_in_order(embed: Embed) -> None:
    texts = [f"{'word ' * (number * 7 % 50)} sentence number {number}" for number in range(60)]
    bulk = await embed.embed(texts)
    assert bulk.count == 60
    for number in (0, 31, 59):
        alone = await embed.embed([texts[number]], urgent=True)
        both = Vectors(2, 384, bulk.row(number) + alone.row(0))
        assert similarity(both, 0, 1) > 0.999


async def test_waiting_queries_are_answered_together_each_with_its_own(embed: Embed) -> None:
    words = ["cat", "engine", "tax", "violin", "glacier"] * 4
    answers = await asyncio.gather(*(embed.embed([word], urgent=True) for word in words))
    for number, answer in enumerate(answers):
        same = Vectors(2, 384, answer.row(0) + answers[number % 5].row(0))
        assert similarity(same, 0, 1) > 0.999


async def test_a_query_does_not_wait_for_the_end_of_bulk_work(embed: Embed) -> None:
    bulk = asyncio.create_task(embed.embed(["A long text about many things. " * 40] * 60))
    await asyncio.sleep(0)
    await embed.embed(["quick"], urgent=True)
    assert not bulk.done()
    bulk.cancel()
    await asyncio.wait([bulk], timeout=BOUND_S)
    assert bulk.cancelled()


PASSAGE = (
    "A rebase moves commits to a new base. The old commits stay until they are collected. "
    "Potatoes are boiled in salted water. Zürich – naïve façade, 日本語 and 🙂 count as characters."
)
SENTENCES = [(found.start(), found.end()) for found in re.finditer(r"[^.]+\.", PASSAGE)]


def together(dimensions: int, parts: Parts, numbers: Sequence[int]) -> list[float]:
    """The unit vector of several parts, as the contract says."""
    rows = [parts.data[n * dimensions : (n + 1) * dimensions] for n in numbers]
    weighted = [
        [parts.masses[n] * value for value in struct.unpack(f"{dimensions}b", row)]
        for n, row in zip(numbers, rows, strict=True)
    ]
    return unit([sum(column) for column in zip(*weighted, strict=True)])


def unit(values: Sequence[float]) -> list[float]:
    length = math.hypot(*values)
    return [value / length for value in values]


def dot(first: Sequence[float], second: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(first, second, strict=True))


async def test_the_part_over_a_whole_text_is_near_the_vector_of_the_text(embed: Embed) -> None:
    texts = [PASSAGE * times for times in (1, 3, 8)]
    found = await embed.embed_parts(texts, [[(0, len(text))] for text in texts])
    alone = await embed.embed(texts)
    for number, parts in enumerate(found.parts):
        own = floats(found.vectors, number)
        assert dot(own, floats(alone, number)) > 0.999
        # The text's own vector has the states of its two special tokens in it too.
        assert dot(own, together(384, parts, [0])) > 0.99


async def test_neighbouring_parts_together_are_the_part_over_both(embed: Embed) -> None:
    (a, b, c, d) = SENTENCES
    spans = [a, b, c, d, (a[0], b[1]), (b[0], d[1]), (a[0], d[1])]
    (parts,) = (await embed.embed_parts([PASSAGE], [spans])).parts
    for several, one in [((0, 1), 4), ((1, 2, 3), 5), ((0, 1, 2, 3), 6), ((4, 2, 3), 6)]:
        assert dot(together(384, parts, several), together(384, parts, [one])) > 0.997


async def test_each_part_is_about_what_its_span_says(embed: Embed) -> None:
    found = await embed.embed_parts([PASSAGE], [SENTENCES])
    questions = ["What happens to commits in a rebase?", "How are potatoes cooked?"]
    asked = await embed.embed(questions, urgent=True)
    for number, sentence in [(0, 0), (1, 2)]:
        near = [
            dot(floats(asked, number), together(384, found.parts[0], [n]))
            for n in range(len(SENTENCES))
        ]
        assert max(range(len(near)), key=near.__getitem__) == sentence


async def test_parts_of_texts_mixed_in_length_are_those_of_each_alone(embed: Embed) -> None:
    texts = [PASSAGE[: 15 + number * 53 % 200] * (1 + number % 5) for number in range(40)]
    spans = [[(0, 20), (20, len(text)), (5, 90)][: number % 4] for number, text in enumerate(texts)]
    mixed = await embed.embed_parts(texts, spans)
    assert [len(parts.masses) for parts in mixed.parts] == [len(each) for each in spans]
    for number in (0, 1, 2, 3, 22, 39):
        alone = await embed.embed_parts([texts[number]], [spans[number]])
        assert dot(floats(mixed.vectors, number), floats(alone.vectors, 0)) > 0.999
        for part, mass in enumerate(mixed.parts[number].masses):
            assert math.isclose(mass, alone.parts[0].masses[part], rel_tol=0.02)
            own = together(384, mixed.parts[number], [part])
            assert dot(own, together(384, alone.parts[0], [part])) > 0.999


async def test_spans_without_tokens_have_no_mass(embed: Embed) -> None:
    texts = ["two words", "", "\ud83d cut", "word " * 5000]
    spans = [[(3, 3), (3, 4), (0, 2), (0, 3), (90, 99)], [(0, 0)], [], [(20_000, 25_000), (0, 4)]]
    found = await embed.embed_parts(texts, spans)
    assert [[mass > 0 for mass in parts.masses] for parts in found.parts] == [
        [False, False, False, True, False],
        [False],
        [],
        [False, True],
    ]
    assert found.parts[0].data[: 3 * 384] == bytes(3 * 384)
    assert (await embed.embed_parts([], [])).parts == []


async def test_parts_asked_for_and_given_up_do_not_hold_up_a_query(embed: Embed) -> None:
    texts = [PASSAGE * 6] * 60
    bulk = asyncio.create_task(embed.embed_parts(texts, [SENTENCES] * 60))
    await asyncio.sleep(0)
    await embed.embed(["quick"], urgent=True)
    assert not bulk.done()
    bulk.cancel()
    await asyncio.wait([bulk], timeout=BOUND_S)
    assert bulk.cancelled()
    assert (await embed.embed(["still there"], urgent=True)).count == 1


async def test_a_passage_is_read_to_its_512th_token(embed: Embed) -> None:
    # Each word is a token, and two of the 512 are special.
    early, late, beyond = (0, 5), (505 * 5, 510 * 5), (510 * 5, 520 * 5)
    (parts,) = (await embed.embed_parts(["word " * 600], [[early, late, beyond]])).parts
    assert [mass > 0 for mass in parts.masses] == [True, True, False]


async def test_odd_texts_have_vectors_too(embed: Embed) -> None:
    odd = ["", " ", "\0\x07", "日本語のテキスト", "🙂" * 50, "x" * 100_000, "\ud83d cut"]
    vectors = await embed.embed(odd)
    assert vectors.count == len(odd)
    assert all(math.isfinite(value) for n in range(len(odd)) for value in floats(vectors, n))
    assert (await embed.embed([])).count == 0
    assert (await embed.embed([], urgent=True)).count == 0


async def test_the_fingerprint_names_what_changes_vectors(embed: Embed) -> None:
    assert embed.fingerprint.startswith("all-MiniLM-L6-v2 ")
    assert embed.fingerprint.split()[-2] in ("bfloat16", "float32")
    assert embed.fingerprint.split()[-1] == "512"


async def test_kill_9_in_the_middle_of_work_is_not_noticed_by_the_caller(
    models: Models, embed: Embed
) -> None:
    bulk = asyncio.create_task(embed.embed(["Some text to embed. " * 30] * 30))
    await embed.embed(["the worker is busy now"], urgent=True)
    pid = worker_pid(embed)
    os.kill(pid, signal.SIGKILL)
    vectors = await asyncio.wait_for(bulk, BOUND_S)
    assert vectors.count == 30
    assert worker_pid(embed) != pid
    async with models.lease("embed", "embed", tenant=TENANT) as lease:
        assert lease.embed is embed


def test_the_server_imports_none_of_the_heavy_libraries() -> None:
    code = """
import importlib, sys
from models.manager import Models
from models.backends import BACKENDS
for target in BACKENDS.values():
    importlib.import_module(target.split(":")[0])
print({"torch", "transformers", "txtai", "faiss", "numpy", "langchain_core"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


async def test_memory_is_measured_and_comes_back(models: Models) -> None:
    async with models.lease("minilm", "embed", tenant=TENANT) as lease:
        measured = {s.model.name: s.memory_bytes for s in models.status()}["minilm"]
        assert measured is not None
        assert measured > 10**8
        pid = worker_pid(lease.embed)
        assert models.memory()[0].reserved_bytes == measured
    await models.unload("minilm")
    async with asyncio.timeout(BOUND_S):
        async with models.lease("minilm", "embed", tenant=TENANT) as lease:
            assert worker_pid(lease.embed) != pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def worker_pid(embed: Embed) -> int:
    pid: int = embed._worker.worker.pid  # type: ignore[attr-defined]
    return pid
