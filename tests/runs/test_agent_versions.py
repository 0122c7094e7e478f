"""Runs keep the version of the agent with which they began; earlier versions run again."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from config.errors import NotFound
from graphs.agent import Agent
from runs.database import Statement
from runs.record import Run, RunRequest
from runs.saved_versions import SavedVersions
from tests.support.runs.engines import EngineFactory, ended
from tests.support.runs.graphs import NodeGates
from tests.support.tenants import TENANT

PYTHON = '''"""Asks before it answers."""
from __future__ import annotations

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

WORD = "first"


class State(TypedDict, total=False):
    said: str


def ask(state: State) -> State:
    return {"said": f"{WORD} {interrupt('go?')}"}


def build() -> StateGraph:
    graph = StateGraph(State)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    return graph
'''
CHANGED = PYTHON.replace('"first"', '"second"')
YAML = "version: 1\nname: speaker\nnodes: {s: {type: set, values: {said: x}}}\noutput: [said]\n"


@pytest.fixture
def file(process: EngineFactory) -> Path:
    """A Python graph in the folder of own agents."""
    folder = process.folder / "agents"
    folder.mkdir()
    file = folder / "speaker.py"
    file.write_text(PYTHON)
    return file


async def begin(process: EngineFactory, agent: str = "speaker") -> Run:
    async with process.engine() as engine:
        run = await engine.submit(RunRequest(agent=agent, input={}, tenant=TENANT))
        return await ended(engine, run.run_id)


async def answer(process: EngineFactory, run: Run) -> Run:
    async with process.engine() as engine:
        await engine.resume(run.run_id, "yes", tenant=TENANT)
        return await ended(engine, run.run_id)


@pytest.mark.parametrize("change", ["edited", "broken", "deleted", "made yaml"])
async def test_a_python_run_goes_on_with_its_source_whatever_became_of_the_file(
    process: EngineFactory, file: Path, change: str
) -> None:
    run = await begin(process)
    match change:
        case "edited":
            file.write_text(CHANGED)
        case "broken":
            file.write_text("1 / 0")
        case "deleted":
            file.unlink()
        case "made yaml":
            file.unlink()
            file.with_suffix(".yaml").write_text(YAML)

    finished = await answer(process, run)

    assert finished.output == {"said": "first yes"}


async def test_a_run_that_was_cut_off_goes_on_with_its_source(
    process: EngineFactory, file: Path
) -> None:
    file.write_text(PYTHON.replace("interrupt('go?')", "'slowly'"))
    async with process.engine(max_active=1) as engine:
        run = await engine.submit(RunRequest(agent="speaker", input={}, tenant=TENANT))
    file.write_text(CHANGED)

    async with process.engine() as engine:
        finished = await ended(engine, run.run_id)

    assert finished.output == {"said": "first slowly"}


async def test_a_run_whose_source_was_not_saved_is_refused_in_words(
    process: EngineFactory, file: Path
) -> None:
    run = await begin(process)
    file.write_text(CHANGED)
    async with process.engine() as engine:
        await process.database.write(Statement("DELETE FROM agent_versions"))

        with pytest.raises(NotFound, match="was not saved") as caught:
            await engine.resume(run.run_id, "yes", tenant=TENANT)

        assert caught.value.code == "agent_version_not_found"
        assert engine.get(run.run_id, tenant=TENANT).status == "waiting"


async def test_an_earlier_version_runs_by_its_hash(process: EngineFactory, file: Path) -> None:
    first = await begin(process)
    file.write_text(CHANGED)
    second = await begin(process)

    old = await answer(process, await begin(process, f"speaker@{first.version}"))

    assert (old.agent, old.version) == ("speaker", first.version)
    assert old.version != second.version
    assert old.output == {"said": "first yes"}


@pytest.mark.parametrize("reference", ["speaker@", "speaker@0123", "none@0123456789abcdef"])
async def test_a_version_that_was_never_saved_is_not_found(
    process: EngineFactory, file: Path, reference: str
) -> None:
    async with process.engine() as engine:
        with pytest.raises(NotFound) as caught:
            await engine.agents.find(reference)

    assert caught.value.code == "agent_version_not_found"


async def test_versions_are_listed_newest_first_also_of_a_deleted_agent(
    process: EngineFactory, file: Path
) -> None:
    first = await begin(process)
    file.write_text(CHANGED)
    second = await begin(process)
    file.unlink()

    async with process.engine() as engine:
        versions = [each.version for each in await engine.agents.list("speaker")]
        with pytest.raises(NotFound):
            await engine.agents.list("another")

    assert versions == [second.version, first.version]


async def test_each_version_that_a_file_has_is_saved_without_a_run(
    process: EngineFactory, file: Path
) -> None:
    async with process.engine() as engine:
        await engine.agents.save_own()
    file.write_text(CHANGED)
    async with process.engine() as engine:
        await engine.agents.save_own()

        texts = [each.modules["speaker"] for each in await engine.agents.list("speaker")]

    assert texts == [CHANGED, PYTHON]


async def test_a_copied_thread_of_a_deleted_agent_is_read_with_its_last_version(
    process: EngineFactory, gates: NodeGates, file: Path
) -> None:
    async with process.engine() as engine:
        thread = (await process.threads.create(tenant=TENANT))["thread_id"]
        run = await engine.submit(
            RunRequest(agent="speaker", input={}, thread_id=thread, tenant=TENANT)
        )
        await ended(engine, run.run_id)
        await engine.resume(run.run_id, "yes", tenant=TENANT)
        await ended(engine, run.run_id)
        copied = (await process.threads.copy(thread, tenant=TENANT))["thread_id"]
        await process.threads.delete(thread, tenant=TENANT)
    file.unlink()

    async with process.engine():
        state = await process.threads.get_state(copied, tenant=TENANT)

    assert state["values"] == {"said": "first yes"}


async def test_the_first_save_of_a_version_gives_it_its_time(process: EngineFactory) -> None:
    async with process.engine():
        versions = SavedVersions(process.database)
        await versions.save("a", "1", {"a": "text"}, {})
        [before] = await versions.list("a")
        await versions.save("a", "1", {"a": "text"}, {"b": "module"})

        [after] = await versions.list("a")

    assert after.created_at == before.created_at
    assert after.modules == {"b": "module"}


async def test_graph_is_compiled_beside_the_event_loop(
    process: EngineFactory, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of hundreds of nodes takes a good part of a second."""
    threads: list[bool] = []
    compile_graph = Agent.compile

    def observed(agent: Agent, *arguments: object) -> object:
        threads.append(threading.current_thread() is threading.main_thread())
        return compile_graph(agent, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Agent, "compile", observed)
    run = await begin(process)

    assert run.status == "waiting"
    assert threads == [False]


async def test_runs_that_come_at_once_compile_their_graph_once(
    process: EngineFactory, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    compile_graph = Agent.compile

    def observed(agent: Agent, *arguments: object) -> object:
        compiled.append(agent.name)
        return compile_graph(agent, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Agent, "compile", observed)
    async with process.engine() as engine:
        request = RunRequest(agent="three", input={"x": 0}, tenant=TENANT)
        await asyncio.gather(*(engine.submit(request) for _ in range(10)))

    assert compiled == ["three"]
