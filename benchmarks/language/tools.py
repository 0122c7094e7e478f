"""Twenty tasks that need a tool, by Motet's `agent` node and by LangGraph's own agent.

`python -m benchmarks tools --models=A,B --servers=parses,text,none --tasks=20 --report=FILE`. Both
ask the same llama.cpp server. It reads calls out of what the model writes (`parses`), or leaves
them there as text (`text`), as servers do that do not know how a model writes them, or it takes no
tools at all (`none`, llama.cpp's `--no-jinja`; only where that is named).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import httpx
import orjson
import yaml

from benchmarks.language.files import LocalModel, find_models
from benchmarks.language.llama_server import running_llama
from benchmarks.language.react import ReactAgent, make_tools
from benchmarks.language.service import USER_TOOLS, ObservedRun, declared_service, run_agent
from benchmarks.language.tool_judging import Attempt, Call, Score, ToolTask, score
from benchmarks.language.turns import DOCUMENTS
from benchmarks.measure import show

TASKS = Path(__file__).parent / "tool_tasks.yaml"
REPORT = Path(tempfile.gettempdir()) / "motet-tools.jsonl"
SERVERS: Mapping[str, Sequence[str]] = {
    "parses": (),
    "text": ("--no-parsing",),
    "none": ("--no-jinja",),
}
NAME, MAX_TOKENS = "bench-server", 200
SYSTEM = "You are a helpful assistant. Use the tools to answer, and answer in one sentence."
INDEX = "docs"
"""What a search looks in that names no index."""

Solve = Callable[[ToolTask], Awaitable[Attempt]]


async def main() -> None:
    """Print how many tasks each got right on each server; write the report."""
    parser = argparse.ArgumentParser(prog="benchmarks tools")
    parser.add_argument("--models", default="", help="all that are here")
    parser.add_argument("--servers", default="parses,text")
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--report", type=Path, default=REPORT)
    chosen = parser.parse_known_args(sys.argv[1:])[0]
    tasks = list(read_tasks())[: chosen.tasks]
    rows: list[Sequence[object]] = []
    with chosen.report.open("w") as report:
        for model in find_models(chosen.models):
            for server in chosen.servers.split(","):
                rows += await _compare(model, server, tasks, report)
    headings = ["model", "server", "by", "tool", "arguments", "answer", "raw calls", "errors", "s"]
    show(f"Of {len(tasks)} tasks", headings, rows)
    print(f"Each task, with its calls and its answer: {chosen.report}")


def read_tasks() -> Iterator[ToolTask]:
    for entry in yaml.safe_load(TASKS.read_text()):
        yield ToolTask(**entry)


async def _compare(
    model: LocalModel, server: str, tasks: Sequence[ToolTask], report: TextIO
) -> list[Sequence[object]]:
    """Let both work on all tasks, alternately."""
    async with running_llama(model, *SERVERS[server]) as llama:
        declared = {NAME: model.at_server(llama.url, max_tokens=MAX_TOKENS)}
        async with declared_service(declared) as (_, client):
            await _index(client)
            tools = make_tools(client, USER_TOOLS)
            react = ReactAgent(llama.url, model.name, SYSTEM, tools, MAX_TOKENS)
            solvers = {"Motet": Solver(client).attempt, "LangGraph": react.attempt}
            tallies: dict[str, list[tuple[Score, Attempt]]] = {name: [] for name in solvers}
            for task in tasks:
                for name, solve in solvers.items():
                    attempt = await solve(task)
                    tallies[name].append((score(task, attempt), attempt))
                    whose = {"model": model.name, "server": server, "by": name}
                    report.write(describe(whose, task, *tallies[name][-1]))
                    report.flush()
    return [[model.name, server, name, *summarize(tally)] for name, tally in tallies.items()]


def describe(whose: Mapping[str, str], task: ToolTask, right: Score, attempt: Attempt) -> str:
    """Return a line of the report."""
    line = {**whose, "task": task.prompt, "score": asdict(right), **asdict(attempt)}
    return orjson.dumps(line, default=str).decode() + "\n"


def summarize(tally: Sequence[tuple[Score, Attempt]]) -> list[object]:
    """Count what was right, and add up the time."""
    scores = [each for each, _ in tally]
    rights = [sum(getattr(each, name) for each in scores) for name in Score.__slots__]
    errors = sum(bool(attempt.error) for _, attempt in tally)
    return [*rights, errors, sum(attempt.seconds for _, attempt in tally)]


async def _index(client: httpx.AsyncClient) -> None:
    body = {"folder": str(DOCUMENTS)}
    (await client.post(f"/indexes/{INDEX}/documents", json=body)).raise_for_status()


class Solver:
    """Motet's `agent` node."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def attempt(self, task: ToolTask) -> Attempt:
        """Run the agent; a run that fails has its error's code."""
        begun = time.perf_counter()
        input = {"prompt": task.prompt, "model": NAME, "system": SYSTEM}
        run = await run_agent(self._client, "bench_tools", input)
        answer = str(run.output["answer"]) if run.status == "finished" else ""
        error = f"{run.code}: {run.error.get('message', '')}" if run.code else ""
        return Attempt(list_calls(run), answer, error, time.perf_counter() - begun)


def list_calls(run: ObservedRun) -> list[Call]:
    """List the calls of a run, each with the result that came back next of that tool."""
    calls: list[Call] = []
    results: dict[str, list[Any]] = {}
    for data in run.data_of("tool"):
        if data["phase"] == "returned":
            results.setdefault(data["tool"], []).append(data.get("result"))
    for data in run.data_of("tool"):
        if data["phase"] == "called":
            waiting = results.get(data["tool"])
            result = waiting.pop(0) if waiting else None
            calls.append(Call(data["tool"], data.get("arguments") or {}, result))
    return calls
