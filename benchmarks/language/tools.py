"""Twenty tasks that need a tool, by Motet's `agent` node and by LangGraph's own agent.

`python -m benchmarks tools --models=A,B --servers=parses,text,none --tasks=20 --report=FILE`. Both
ask the same llama.cpp server. It reads calls out of what the model writes (`parses`), or leaves
them there as text (`text`), as servers do that do not know how a model writes them, or it takes no
tools at all (`none`, llama.cpp's `--no-jinja`; only where that is named). `--minutes` and
`--resume` split a long one up, as `report` says.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import yaml

from benchmarks.language.files import LocalModel, find_models
from benchmarks.language.llama_server import running_llama
from benchmarks.language.react import ReactAgent, make_tools
from benchmarks.language.report import Report, add_options
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

COUNTED = ("tool", "arguments", "answer", "raw calls")
"""The headings of a score."""

Solve = Callable[[ToolTask], Awaitable[Attempt]]


async def main() -> None:
    """Print how many tasks each got right on each server; write the report."""
    parser = argparse.ArgumentParser(prog="benchmarks tools")
    parser.add_argument("--models", default="", help="all that are here")
    parser.add_argument("--servers", default="parses,text")
    parser.add_argument("--tasks", type=int, default=20)
    add_options(parser, REPORT)
    chosen = parser.parse_known_args(sys.argv[1:])[0]
    tasks = list(read_tasks())[: chosen.tasks]
    report = Report.of(chosen, "model", "server", "by", "task")
    for model in find_models(chosen.models):
        for server in chosen.servers.split(","):
            await _compare(model, server, tasks, report)
    headings = ["model", "server", "by", "tasks", *COUNTED, "errors", "s"]
    show("Tasks, and what was right of them", headings, list(_summarize(report)))
    print(f"Each task, with its calls and its answer: {report.path}")


def read_tasks() -> Iterator[ToolTask]:
    for entry in yaml.safe_load(TASKS.read_text()):
        yield ToolTask(**entry)


async def _compare(
    model: LocalModel, server: str, tasks: Sequence[ToolTask], report: Report
) -> None:
    """Let both work on all tasks that the report lacks, alternately."""
    names = ("Motet", "LangGraph")
    pending = [
        (task, name)
        for task in tasks
        for name in names
        if (model.name, server, name, task.prompt) not in report
    ]
    if not pending or report.is_over():
        return
    async with running_llama(model, *SERVERS[server]) as llama:
        declared = {NAME: model.at_server(llama.url, max_tokens=MAX_TOKENS)}
        async with declared_service(declared) as (_, client):
            await _index(client)
            tools = make_tools(client, USER_TOOLS)
            react = ReactAgent(llama.url, model.name, SYSTEM, tools, MAX_TOKENS)
            solvers: Mapping[str, Solve] = {
                "Motet": Solver(client).attempt,
                "LangGraph": react.attempt,
            }
            for task, name in pending:
                if report.is_over():
                    return
                attempt = await solvers[name](task)
                whose = {"model": model.name, "server": server, "by": name}
                report.write(describe(whose, task, score(task, attempt), attempt))


def describe(
    whose: Mapping[str, str], task: ToolTask, right: Score, attempt: Attempt
) -> dict[str, Any]:
    """Return a line of the report."""
    return {**whose, "task": task.prompt, "score": asdict(right), **asdict(attempt)}


def _summarize(report: Report) -> Iterator[Sequence[object]]:
    """Count what was right of each solver, and add up the time."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for line in report:
        groups.setdefault((line["model"], line["server"], line["by"]), []).append(line)
    for whose, lines in groups.items():
        rights = [sum(line["score"][name] for line in lines) for name in Score.__slots__]
        errors = sum(bool(line["error"]) for line in lines)
        seconds = sum(line["seconds"] for line in lines)
        yield [*whose, len(lines), *rights, errors, seconds]


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
