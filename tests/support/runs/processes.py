"""Agents out of YAML in engines that die: real models over the double of Ollama, real tools."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.settings import Settings
from graphs.catalog import Catalog
from graphs.node_cache import NodeCache
from graphs.run_context import ClaimStep, RunContext
from models.manager import Models, open_models
from runs.checkpoints import Checkpoints, open_checkpoints
from runs.database import RunDatabase, open_run_database
from runs.deliveries import Deliveries
from runs.engine import RunEngine
from runs.record import Run
from runs.store import RunStore
from runs.webhooks import Webhooks
from tests.support.graphs import FakeIndexes
from tests.support.ollama import Ollama
from tests.support.runs.graphs import NodeGates, graphs
from tests.support.script import Call, Failure, Gate, Reply, Turn
from tools.registry import Toolbox
from tools.responses import PostAnswer
from tools.spec import Tool, ToolContext

AGENTS = Path(__file__).parent / "agents"
WORD = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}


class PromptFollower:
    """What the double says: what the prompt tells it to, so that asking again changes nothing.

    A reply to a prompt that holds a key of `gates` waits there in the middle.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gates: dict[str, Gate] = {}
        self.wobbled = False

    def forget(self) -> None:
        """Begin anew: nothing was asked, and the next stumble is the first."""
        self.asked.clear()
        self.wobbled = False

    def __call__(self, turn: Turn) -> Reply:
        self.asked.append(turn.last)
        if turn.format:
            return self._gated(turn.last, '{"choice": "last"}')
        if turn.last.startswith("Wobble: "):
            return self._wobble(turn.last.removeprefix("Wobble: "))
        if turn.tools:
            return self._help(turn)
        return self._gated(turn.last, turn.last.removeprefix("Say: "))

    def _help(self, turn: Turn) -> Reply:
        results = [message for message in turn.messages if message["role"] == "tool"]
        if not results:
            return ["I look first. ", Call("look", {"word": "here"})]
        if len(results) == 1:
            note = next(name for name in turn.tool_names if name != "look")
            return ["Then I note. ", Call(note, {"word": "this"}), Call("look", {"word": "there"})]
        return self._gated("answer", " ".join(str(message["content"]) for message in results))

    def _wobble(self, text: str) -> Reply:
        if self.wobbled:
            return f"steady {text} now"
        self.wobbled = True
        return ["steady but ", Failure("the model stumbled")]

    def _gated(self, prompt: str, text: str) -> Reply:
        for key, gate in self.gates.items():
            if key in prompt:
                return [text[: len(text) // 2], gate, text[len(text) // 2 :]]
        return text


@dataclass
class EngineProcess:
    """One process on a data folder, from its start to its end. `calls` counts what tools did."""

    engine: RunEngine
    models: Models
    database: RunDatabase
    store: RunStore
    checkpoints: Checkpoints
    calls: Counter[str]


class Deployment:
    """Agents, models and tools that outlive the processes which use them."""

    def __init__(self, ollama: Ollama) -> None:
        self.voice = PromptFollower()
        self.ollama = ollama
        ollama.add("qwen3:8b", self.voice)
        self._settings = Settings(agents=AGENTS, ollama_url=ollama.url)
        # Without the shipped agents, whose building would take a third of a second.
        self.catalog = Catalog(self._settings, graphs=graphs(NodeGates()), shipped=AGENTS)

    @asynccontextmanager
    async def start_process(
        self, folder: Path, grace_s: float = 0, **limits: int
    ) -> AsyncIterator[EngineProcess]:
        """A started process; on leaving it is stopped after `grace_s`."""
        file = folder / "runs.db"
        settings = Settings(home=folder, agents=AGENTS, ollama_url=self.ollama.url)
        async with (
            open_models(settings) as models,
            open_run_database(file) as database,
            open_checkpoints(database, file) as checkpoints,
        ):
            store = RunStore(database)
            webhooks = Webhooks(store, Deliveries(database), _no_post)
            calls: Counter[str] = Counter()
            tools, cache = Toolbox(_tools(calls)), NodeCache()

            def context(run: Run, claim_step: ClaimStep) -> RunContext:
                return RunContext(
                    models=models,
                    indexes=FakeIndexes(),
                    tools=tools,
                    run_id=run.run_id,
                    thread_id=run.thread_id,
                    cache=cache,
                    claim_step=claim_step,
                    tenant=run.tenant,
                )

            bounds = {"max_active": 64, "max_queued": 1000, **limits}
            engine = RunEngine(store, checkpoints, self.catalog, context, webhooks, **bounds)
            process = EngineProcess(engine, models, database, store, checkpoints, calls)
            await engine.recover()
            try:
                yield process
            finally:
                await engine.close(grace_s)
                await webhooks.close()


def _tools(calls: Counter[str]) -> Sequence[Tool]:
    async def look(arguments: dict[str, Any], context: ToolContext) -> str:
        calls[f"look {arguments['word']}"] += 1
        return f"saw {arguments['word']}"

    async def note(arguments: dict[str, Any], context: ToolContext) -> str:
        calls[f"note {arguments['word']}"] += 1
        return f"noted {arguments['word']}"

    async def broken(arguments: dict[str, Any], context: ToolContext) -> str:
        calls["broken"] += 1
        raise ConnectionError("nothing there")

    async def wobble(arguments: dict[str, Any], context: ToolContext) -> str:
        calls["wobble"] += 1
        if calls["wobble"] == 1:
            raise ConnectionError("not yet")
        return f"stood {arguments['word']}"

    return [
        Tool("wobble", "Fails at first.", WORD, wobble, repeatable=True, reads="nothing"),
        Tool("look", "Looks.", WORD, look, repeatable=True, reads="nothing"),
        Tool("jot", "Notes.", WORD, note, repeatable=True, reads="nothing"),
        Tool("note", "Notes once.", WORD, note, repeatable=False, reads="nothing"),
        Tool("broken", "Fails.", WORD, broken, repeatable=True, reads="nothing"),
    ]


async def _no_post(url: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
    return PostAnswer(200)
