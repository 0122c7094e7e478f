"""Embedding: each runtime of MiniLM beside txtai as it comes, on the same texts, in turns.

`python -m benchmarks embed --folder=/usr/share/doc/postgresql-doc-15 --passages=96`
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
import psutil
from bs4 import BeautifulSoup

from benchmarks.measure import Timing, repeat, show
from benchmarks.tenants import TENANT
from config.settings import load_settings
from models.backends.common.batches import fastest_dtype
from models.manager import open_models
from models.workers.process import WorkerProcess

WORDS = 250
ROUNDS = 6
CALLERS = 16
ALONE, TOGETHER = 60, 480
PAGES = 400
TOP = 10
MIB = 2**20
TXTAI = "txtai, as it comes"

Embed = Callable[[Sequence[str], bool], Awaitable[bytes]]


@dataclass
class Contender:
    """One way to embed; `rounds` are (passages a second, CPU seconds a passage)."""

    name: str
    embed: Embed
    process: psutil.Process
    rounds: list[tuple[float, float]] = field(default_factory=list)
    rows: list[Any] = field(default_factory=list)

    def cpu_s(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    async def bulk(self, texts: Sequence[str]) -> None:
        cpu, wall = self.cpu_s(), time.perf_counter()
        data = await self.embed(texts, False)
        wall = time.perf_counter() - wall
        self.rounds.append((len(texts) / wall, (self.cpu_s() - cpu) / len(texts)))
        self.rows.append(_vectors(data, len(texts)))

    async def queries(self, questions: Sequence[str], count: int, callers: int) -> Timing:
        asked = cycle(questions)

        async def ask() -> None:
            await self.embed([next(asked)], True)

        return await repeat(ask, count, callers, self.cpu_s)


async def main() -> None:
    """Print speed, latency, memory, and how near the vectors are to those of full precision."""
    options = _options()
    texts = _passages(options.folder)[: options.passages]
    questions = [" ".join(text.split()[100:112]) for text in texts[:40]]
    async with _contenders() as contenders:
        for each in contenders:
            await each.embed(texts[:4], False)
        size = max(1, len(texts) // ROUNDS)
        for first in range(0, len(texts), size):  # in turns, for the machine has moods
            for each in contenders:
                await each.bulk(texts[first : first + size])
        await _print(contenders, questions)


async def _print(contenders: Sequence[Contender], questions: Sequence[str]) -> None:
    exact = next(each for each in contenders if each.name.endswith("float32"))
    plain = next(each for each in contenders if each.name == TXTAI)
    reference = _vectors(await exact.embed(questions, False), len(questions))
    speed, likeness = [], []
    for each in contenders:
        alone = await each.queries(questions, ALONE, 1)
        many = await each.queries(questions, TOGETHER, CALLERS)
        (rate, cpu_s), (plain_rate, plain_cpu_s) = _median(each), _median(plain)
        speed.append(
            [
                each.name,
                rate,
                rate / plain_rate,
                cpu_s * 1e3,
                plain_cpu_s / cpu_s,
                alone.quantile_ms(0.5),
                alone.cpu_ms,
                many.per_second,
                each.process.memory_info().rss // MIB,
            ]
        )
        own = _vectors(await each.embed(questions, False), len(questions))
        likeness.append([each.name, *_likeness(exact, reference, each, own)])
    show(
        f"Passages of {WORDS} words, and queries",
        [
            "",
            "passages/s",
            "x txtai",
            "CPU ms",
            "x txtai",
            "query p50 ms",
            "CPU ms",
            f"queries/s ({CALLERS})",
            "MiB",
        ],
        speed,
    )
    columns = ["", "mean cosine", "worst", f"same of the best {TOP}"]
    show("Beside PyTorch in float32", columns, likeness)


def _median(each: Contender) -> tuple[float, float]:
    rates, cpu_s = zip(*each.rounds, strict=True)
    return statistics.median(rates), statistics.median(cpu_s)


def _likeness(exact: Contender, questions: Any, each: Contender, own: Any) -> list[str]:
    ours, theirs = np.concatenate(exact.rows), np.concatenate(each.rows)
    cosines = (ours * theirs).sum(axis=1)
    pairs = zip(_best(ours, questions), _best(theirs, own), strict=True)
    same = statistics.mean(len(a & b) / TOP for a, b in pairs)
    return [f"{cosines.mean():.5f}", f"{cosines.min():.5f}", f"{same:.3f}"]


def _best(passages: Any, questions: Any) -> list[set[int]]:
    return [set(row.tolist()) for row in np.argsort(-(questions @ passages.T), axis=1)[:, :TOP]]


def _vectors(data: bytes, count: int) -> Any:
    return np.frombuffer(data, "<f4").reshape(count, -1)


@asynccontextmanager
async def _contenders() -> AsyncIterator[list[Contender]]:
    dtypes = dict.fromkeys(["float32", fastest_dtype()])
    runtimes = ["torch", *(["openvino"] if find_spec("openvino") else [])]
    options = {f"{name} {dtype}": (name, dtype) for name in runtimes for dtype in dtypes}
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="motet-bench-")))
        declared = {
            name: {
                "task": "embed",
                "backend": "minilm",
                "options": {"runtime": runtime, "dtype": dtype},
            }
            for name, (runtime, dtype) in options.items()
        }
        (home / "models.yaml").write_text(json.dumps({"models": declared}))
        models = await stack.enter_async_context(open_models(load_settings(home=home)))
        found = [await _txtai(stack)]
        for name in declared:
            lease = await stack.enter_async_context(models.lease(name, "embed", tenant=TENANT))
            found.append(Contender(name, _embed(lease.embed), _process(name)))
        yield found


def _embed(model: Any) -> Embed:
    async def embed(texts: Sequence[str], urgent: bool) -> bytes:
        data: bytes = (await model.embed(texts, urgent=urgent)).data
        return data

    return embed


async def _txtai(stack: AsyncExitStack) -> Contender:
    target = "benchmarks.txtai_embedder:TxtaiEmbedder"
    worker = await WorkerProcess.start(target, name=TXTAI, options={}, threads=os.cpu_count())
    stack.push_async_callback(worker.stop)

    async def embed(texts: Sequence[str], urgent: bool) -> bytes:
        return (await worker.call("embed", {"texts": list(texts)})).body

    return Contender(TXTAI, embed, psutil.Process(worker.pid))


def _process(name: str) -> psutil.Process:
    """The worker of a model: its name is the last word of its command."""
    children = psutil.Process().children()
    return next(child for child in children if child.cmdline()[-1:] == [name])


def _passages(folder: Path | None) -> list[str]:
    """Passages of real text, shuffled: a folder's HTML pages, or Python's own help."""
    pages = islice(sorted(folder.rglob("*.html")), PAGES) if folder else ()
    texts = [BeautifulSoup(page.read_bytes(), "html.parser").get_text(" ") for page in pages]
    found = []
    for words in (text.split() for text in texts or topics.values()):
        whole = range(0, len(words) - WORDS + 1, WORDS)
        found += [" ".join(words[start : start + WORDS]) for start in whole]
    random.Random(1).shuffle(found)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks embed")
    parser.add_argument("--folder", type=Path, help="HTML pages to embed; default: Python's help.")
    parser.add_argument("--passages", type=int, default=240)
    return parser.parse_known_args(sys.argv[1:])[0]
