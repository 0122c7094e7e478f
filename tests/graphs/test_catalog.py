"""The catalog: shipped, own and Python agents, changes of files, old versions."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from config.errors import Busy, Conflict, Invalid, MotetError, NotFound
from config.settings import Settings
from graphs.agent import Agent
from graphs.catalog import Catalog, open_catalog
from graphs.loading.build import AgentSource, build_agent
from graphs.loading.reload import Reload
from tests.support.graph_runs import run
from tests.support.graphs import context

SHOUT = """\
version: 1
name: shout
input: {text: string}
nodes: {louder: {type: set, values: {answer: "{{ text | upper }}!"}}}
output: [answer]
"""
CALLER = """\
version: 1
name: caller
input: {text: string}
nodes: {call: {type: subgraph, agent: shout, input: {text: "{{ text }}"}, save: {answer: answer}}}
output: [answer]
"""
PYTHON = '''\
"""Counts up, in Python."""

from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    number: int


async def count(state: State) -> State:
    return {"number": state.get("number", 0) + 1}


def build() -> StateGraph:
    graph = StateGraph(State)
    graph.add_node("count", count)
    graph.add_edge(START, "count")
    return graph
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "agents"


@pytest.fixture
def catalog(folder: Path) -> Catalog:
    return Catalog(Settings(agents=folder))


def told(error: type[MotetError], work: Any, *args: Any) -> MotetError:
    with pytest.raises(error) as caught:
        work(*args)
    return caught.value


async def test_a_created_agent_is_kept_as_a_file_and_runs(catalog: Catalog, folder: Path) -> None:
    agent = catalog.create(SHOUT)
    assert (agent.origin, agent.path) == ("own", folder / "shout.yaml")
    assert (folder / "shout.yaml").read_text() == SHOUT
    assert (await run(catalog.get("shout"), {"text": "hi"}, context())).output["answer"] == "HI!"
    assert Catalog(Settings(agents=folder)).get("shout").version == agent.version


def test_creating_an_agent_with_a_taken_name_is_a_conflict(catalog: Catalog) -> None:
    catalog.create(SHOUT)
    assert told(Conflict, catalog.create, SHOUT).code == "agent_exists"
    assert told(Conflict, catalog.create, SHOUT.replace("shout", "ask")).code == "agent_exists"


def test_an_invalid_agent_leaves_nothing_behind(catalog: Catalog, folder: Path) -> None:
    told(Invalid, catalog.create, SHOUT.replace("upper", "uper"))
    told(Invalid, catalog.create, "{")
    assert not folder.exists() or list(folder.iterdir()) == []
    catalog.create(SHOUT)
    told(Invalid, catalog.replace, "shout", SHOUT.replace("upper", "uper"))
    assert [file.name for file in folder.iterdir()] == ["shout.yaml"]
    assert (folder / "shout.yaml").read_text() == SHOUT


def test_replacing_makes_another_version(catalog: Catalog) -> None:
    before = catalog.create(SHOUT)
    after = catalog.replace("shout", SHOUT.replace("!", "?"))
    assert before.version != after.version
    assert catalog.get("shout") is after
    assert told(Invalid, catalog.replace, "shout", CALLER).details["field"] == "name"
    assert told(NotFound, catalog.replace, "shoot", SHOUT).code == "agent_not_found"


def test_an_own_agent_stands_before_the_shipped_one_until_it_is_deleted(catalog: Catalog) -> None:
    shipped = catalog.get("ask")
    own = catalog.replace("ask", SHOUT.replace("shout", "ask"))
    assert (shipped.origin, own.origin) == ("shipped", "own")
    catalog.delete("ask")
    assert catalog.get("ask").version == shipped.version
    assert told(Conflict, catalog.delete, "ask").code == "agent_read_only"
    assert shipped.path is not None
    assert shipped.path.exists()


@pytest.mark.parametrize(
    "name", ["../ask", "..", "a/b", "", "Ask", "a" * 65, "ask.yaml", "a\x00b", "/etc/passwd", "-a"]
)
def test_a_name_never_leads_out_of_the_folder(catalog: Catalog, name: str, tmp_path: Path) -> None:
    before = sorted(path for path in tmp_path.rglob("*"))
    told(NotFound, catalog.get, name)
    told(NotFound, catalog.delete, name)
    told(NotFound, catalog.replace, name, SHOUT)
    told(Invalid, catalog.create, SHOUT.replace("name: shout", f"name: {name!r}"))
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_an_unknown_agent_is_answered_with_the_nearest(catalog: Catalog) -> None:
    assert "Did you mean 'ask_deep'?" in told(NotFound, catalog.get, "ask_dep").message


def test_an_agent_that_others_call_is_not_deleted(catalog: Catalog) -> None:
    catalog.create(SHOUT)
    catalog.create(CALLER)
    assert catalog.agents_using("shout") == ["caller"]
    assert told(Conflict, catalog.delete, "shout").details["agents"] == ["caller"]
    catalog.delete("caller")
    catalog.delete("shout")
    told(NotFound, catalog.get, "shout")


def test_agents_that_call_each_other_are_refused(catalog: Catalog) -> None:
    catalog.create(SHOUT)
    catalog.create(CALLER)
    circle = CALLER.replace("name: caller", "name: shout").replace("agent: shout", "agent: caller")
    error = told(Invalid, catalog.replace, "shout", circle)
    assert "shout → caller → shout" in str(error.details["problems"])


def test_a_change_of_a_called_agent_makes_a_new_version_of_its_caller(catalog: Catalog) -> None:
    catalog.create(SHOUT)
    before = catalog.create(CALLER)
    catalog.replace("shout", SHOUT.replace("!", "?"))
    assert catalog.get("caller").version != before.version


async def test_an_old_version_comes_back_from_its_sources(catalog: Catalog) -> None:
    catalog.create(SHOUT)
    before = catalog.create(CALLER)
    catalog.replace("shout", SHOUT.replace("!", "?"))
    revived = catalog.revive(before.sources, "caller")
    assert revived.version == before.version
    assert (await run(revived, {"text": "a"}, context())).output["answer"] == "A!"
    assert (await run(catalog.get("caller"), {"text": "a"}, context())).output["answer"] == "A?"


def test_broken_file_keeps_the_last_good_version_and_is_a_problem(
    catalog: Catalog, folder: Path
) -> None:
    before = catalog.create(SHOUT)
    (folder / "shout.yaml").write_text(SHOUT.replace("type: set", "type: sett"))
    (folder / "bytes.yaml").write_bytes(b"a: \xff")
    (folder / "other.yaml").write_text(SHOUT)
    reload = catalog.reload()
    assert reload == Reload((), ())
    assert catalog.get("shout") is before
    problems = {Path(p.details["file"]).name: p.message for p in catalog.problems()}
    assert "Did you mean 'set'?" in problems["shout.yaml"]
    assert "cannot be read" in problems["bytes.yaml"]
    assert "must name it so" in problems["other.yaml"]
    (folder / "shout.yaml").write_text(SHOUT)
    assert catalog.reload().changed == ()
    assert "shout.yaml" not in {Path(p.details["file"]).name for p in catalog.problems()}


def test_reload_logs_each_change_and_each_problem_once(
    catalog: Catalog, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "graphs")
    version = catalog.create(SHOUT).version
    (folder / "shout.yaml").write_text(SHOUT.replace("type: set", "type: sett"))

    catalog.reload()
    catalog.reload()

    loaded, refused = caplog.records
    assert loaded.getMessage() == f"agent shout loaded: version {version}"
    assert refused.levelno == logging.WARNING
    assert "agent file not loaded" in refused.getMessage()
    assert "shout.yaml" in refused.getMessage()


def test_an_agent_whose_only_version_is_broken_says_why(catalog: Catalog, folder: Path) -> None:
    folder.mkdir()
    (folder / "shout.yaml").write_text(SHOUT.replace("type: set", "type: sett"))
    catalog.reload()
    assert "there is no node type 'sett'" in told(Invalid, catalog.get, "shout").message


@pytest.mark.parametrize("file", ["shout.yaml", "shout.yml", "count.py"])
def test_a_file_is_found_at_once_without_a_watcher(
    catalog: Catalog, folder: Path, file: str
) -> None:
    name, _, suffix = file.partition(".")
    assert not catalog.is_built(name)
    folder.mkdir()
    (folder / file).write_text(PYTHON if suffix == "py" else SHOUT)

    assert catalog.get(name).name == name


def test_a_mended_file_counts_at_once(catalog: Catalog, folder: Path) -> None:
    folder.mkdir()
    (folder / "shout.yaml").write_text("nodes: [")
    with pytest.raises(Invalid):
        catalog.get("shout")

    (folder / "shout.yaml").write_text(SHOUT)

    assert catalog.get("shout").name == "shout"


async def test_files_are_followed_while_the_catalog_is_open(folder: Path) -> None:
    reloads: asyncio.Queue[Reload] = asyncio.Queue()
    catalog = Catalog(Settings(agents=folder))
    folder.mkdir()
    watching = asyncio.create_task(catalog.watch(reloads.put_nowait), name="watch")
    try:
        await _written_until(folder / "shout.yaml", SHOUT, reloads)
        assert catalog.get("shout").origin == "own"
        await _written_until(folder / "shout.yaml", SHOUT.replace("!", "?"), reloads)
        assert "?" in catalog.get("shout").sources["shout"]
        (folder / "shout.yaml").unlink()
        async with asyncio.timeout(240):
            while (await reloads.get()).removed != ("shout",):
                pass
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _written_until(file: Path, text: str, reloads: asyncio.Queue[Reload]) -> None:
    """Write until it is noticed: the watcher may not have begun at the first time."""
    async with asyncio.timeout(240):
        while True:
            file.write_text(text)
            try:
                reload = await asyncio.wait_for(reloads.get(), 2)
            except TimeoutError:
                os.utime(file)
                continue
            if file.stem in reload.changed:
                return


async def test_the_catalog_stops_following_when_it_is_closed(folder: Path) -> None:
    async with open_catalog(Settings(agents=folder)) as catalog:
        assert "ask" in {agent.name for agent in catalog.list()}
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "watch agents"]


async def test_python_graph_is_an_agent_of_the_catalog(catalog: Catalog, folder: Path) -> None:
    folder.mkdir()
    (folder / "counter.py").write_text(PYTHON)
    (folder / "_helper.py").write_text("1 / 0")
    assert catalog.reload().changed == ("counter",)
    agent = catalog.get("counter")
    assert (agent.origin, agent.description) == ("python", "Counts up, in Python.")
    assert (await run(agent, {"number": 2}, context())).output == {"number": 3}
    told(Invalid, agent.initial_state, {"nmber": 1})
    assert told(Invalid, agent.initial_state, {"number": "a"}).details["field"] == "input.number"
    assert catalog.reload() == Reload((), ())
    assert "count" in agent.mermaid()
    (folder / "counter.py").write_text(PYTHON.replace("+ 1", "+ 2"))
    assert catalog.reload().changed == ("counter",)
    assert told(Conflict, catalog.delete, "counter").code == "agent_read_only"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 / 0", "counter.py:1: ZeroDivisionError"),
        ("def build(:", "counter.py:1: SyntaxError"),
        ("x = 1", "has no function build"),
        ("def build():\n    return 3", "must return a StateGraph"),
        ("import sys\nsys.exit(1)", "SystemExit"),
        ("raise KeyboardInterrupt", "counter.py:1: KeyboardInterrupt"),
        ("def build():\n    raise SystemExit(2)", "counter.py:2: SystemExit: 2"),
        ("def build():\n    raise ValueError('x')", "counter.py:2: ValueError: x"),
        (f"{PYTHON}build.recursion_limit = 'many'", "build.recursion_limit is 'many'"),
        (f"{PYTHON}build.recursion_limit = 0", "build.recursion_limit is 0"),
    ],
)
def test_broken_python_graph_is_a_problem_with_its_line(
    catalog: Catalog, folder: Path, text: str, says: str
) -> None:
    folder.mkdir()
    (folder / "counter.py").write_text(PYTHON)
    catalog.reload()
    before = catalog.get("counter")
    (folder / "counter.py").write_text(text)
    catalog.reload()
    assert catalog.get("counter") is before
    assert says in catalog.problems()[0].message


async def test_a_yaml_agent_calls_a_python_graph(catalog: Catalog, folder: Path) -> None:
    folder.mkdir()
    (folder / "counter.py").write_text(PYTHON)
    catalog.reload()
    agent = catalog.create(
        "version: 1\nname: uses\nnodes: {c: {type: subgraph, agent: counter, input: {number: 4}, "
        "save: {n: number}}}\noutput: [n]\n"
    )
    assert (await run(agent, {}, context())).output["n"] == 5
    assert agent.calls == ("counter",)
    assert catalog.agents_using("counter") == ["uses"]
    assert (await run(catalog.revive(agent.sources, "uses"), {}, context())).output["n"] == 5


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_on_error_applies_to_a_python_graph_that_exits(
    catalog: Catalog, folder: Path, kind: str
) -> None:
    folder.mkdir()
    exits = PYTHON.replace("async def count(", f"{kind} count(")
    exits = exits.replace('return {"number"', 'raise SystemExit(1)  # {"number"')
    (folder / "counter.py").write_text(exits)
    catalog.reload()
    agent = catalog.create(
        "version: 1\nname: uses\nnodes: {c: {type: subgraph, agent: counter, input: {number: 4}, "
        "save: {n: number}, on_error: {then: continue, default: {n: '{{ error.message }}'}}}}\n"
        "output: [n]\n"
    )
    output = (await run(agent, {}, context())).output
    assert "SystemExit" in output["n"]


ROUNDS = """
from typing import Literal

def more(state: State) -> Literal["count", "__end__"]:
    return "count" if state["number"] < 300 else "__end__"

plain = build

def build():
    graph = plain()
    graph.add_conditional_edges("count", more)
    return graph
"""


async def test_a_python_graph_that_takes_too_many_steps_says_how_to_allow_more(
    catalog: Catalog, folder: Path
) -> None:
    folder.mkdir()
    (folder / "counter.py").write_text(PYTHON + ROUNDS)
    catalog.reload()
    agent = catalog.create(
        "version: 1\nname: uses\nnodes: {c: {type: subgraph, agent: counter, input: {number: 0}, "
        "save: {n: number}}}\noutput: [n]\n"
    )
    with pytest.raises(Invalid, match=r"more than 100 steps.*build\.recursion_limit") as caught:
        await run(agent, {}, context())
    assert caught.value.code == "too_many_steps"

    (folder / "counter.py").write_text(f"{PYTHON}{ROUNDS}build.recursion_limit = 400\n")
    catalog.reload()
    assert (await run(catalog.get("uses"), {}, context())).output == {"n": 300}


async def test_a_yaml_graph_that_takes_too_many_steps_says_how_to_allow_more(
    catalog: Catalog,
) -> None:
    inner = "version: 1\nname: inner\nmax_steps: 2\nnodes:\n" + "".join(
        f"  {name}: {{type: set, values: {{x: 1}}}}\n" for name in "abcd"
    )
    catalog.create(f"{inner}output: [x]\n")
    agent = catalog.create(
        "version: 1\nname: uses\nnodes: {c: {type: map, over: [1], agent: inner}}\noutput: [c]\n"
        "state: {c: any}\n"
    )
    with pytest.raises(Invalid, match=r"more than 2 steps.*`max_steps`"):
        await run(agent, {}, context())


async def test_a_yaml_agent_is_revived_with_the_python_graph_that_it_called(
    catalog: Catalog, folder: Path
) -> None:
    folder.mkdir()
    (folder / "counter.py").write_text(PYTHON)
    catalog.reload()
    before = catalog.create(
        "version: 1\nname: uses\nnodes: {c: {type: subgraph, agent: counter, input: {number: 4}, "
        "save: {n: number}}}\noutput: [n]\n"
    )
    (folder / "counter.py").write_text(PYTHON.replace("+ 1", "+ 2"))
    catalog.reload()

    revived = catalog.revive(before.sources, "uses", before.modules)

    assert revived.version == before.version != catalog.get("uses").version
    assert (await run(revived, {}, context())).output["n"] == 5
    assert (await run(catalog.get("uses"), {}, context())).output["n"] == 6


def test_an_earlier_version_of_an_agent_is_written_again(catalog: Catalog, folder: Path) -> None:
    folder.mkdir()
    file = folder / "counter.py"
    file.write_text(PYTHON)
    catalog.reload()
    before = catalog.get("counter")
    file.unlink()
    catalog.reload()

    assert catalog.restore("counter", {}, before.modules).version == before.version
    assert file.read_text() == PYTHON


def test_a_python_version_is_not_written_beside_yaml_of_its_name(
    catalog: Catalog, folder: Path
) -> None:
    catalog.create(SHOUT.replace("name: shout", "name: counter"))

    error = told(Conflict, catalog.restore, "counter", {}, {"counter": PYTHON})

    assert error.code == "agent_exists"
    assert not (folder / "counter.py").exists()


def test_graphs_of_the_caller_are_agents_of_the_catalog(folder: Path) -> None:
    def make() -> Any:
        from langgraph.graph import START, StateGraph
        from typing_extensions import TypedDict

        class State(TypedDict):
            x: int

        builder: Any = StateGraph(State)
        builder.add_node("n", lambda state: state)
        builder.add_edge(START, "n")
        return builder

    catalog = Catalog(Settings(agents=folder), {"made": make})
    assert catalog.get("made").origin == "python"
    assert catalog.get("made").sources == {}


def test_reading_a_file_does_not_save_its_agent(catalog: Catalog, tmp_path: Path) -> None:
    file = tmp_path / "draft.yaml"
    file.write_text(SHOUT)
    assert catalog.read(file).name == "shout"
    told(NotFound, catalog.get, "shout")
    (tmp_path / "counter.py").write_text(PYTHON)
    assert catalog.read(tmp_path / "counter.py").origin == "python"
    told(Invalid, catalog.read, tmp_path / "missing.yaml")


async def test_agents_that_are_created_at_once_in_threads_are_all_there(tmp_path: Path) -> None:
    catalog = Catalog(Settings(agents=tmp_path))
    texts = [
        f"version: 1\nname: a{n}\ndescription: D\nnodes: {{a: {{type: set, values: {{x: {n}}}}}}}\n"
        "output: [x]\n"
        for n in range(8)
    ]

    await asyncio.gather(*(asyncio.to_thread(catalog.create, text) for text in texts))

    assert {f"a{n}" for n in range(8)} <= {agent.name for agent in catalog.list()}


def test_as_many_agents_are_saved_as_may_be(folder: Path) -> None:
    catalog = Catalog(Settings(agents=folder, max_agents=2))
    for name in ("one", "two"):
        catalog.create(SHOUT.replace("shout", name))

    error = told(Busy, catalog.create, SHOUT)
    catalog.replace("one", SHOUT.replace("shout", "one") + "# longer\n")
    catalog.delete("two")

    assert (error.code, error.details["setting"]) == ("quota_exceeded", "max_agents")
    assert catalog.create(SHOUT).name == "shout"


def test_files_of_agents_have_a_bound_together(folder: Path) -> None:
    catalog = Catalog(Settings(agents=folder, max_agent_bytes=1024))
    catalog.create(SHOUT)

    error = told(Busy, catalog.replace, "shout", SHOUT + "#" * 1024)

    assert (error.code, error.details["setting"]) == ("quota_exceeded", "max_agent_bytes")
    assert (folder / "shout.yaml").read_text() == SHOUT


# building


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the agents that were built, in order."""
    names: list[str] = []

    def build(source: AgentSource, *args: Any, **options: Any) -> Agent:
        names.append(source.name)
        return build_agent(source, *args, **options)

    monkeypatch.setattr("graphs.loading.folders.build_agent", build)
    return names


def write_agents(folder: Path, count: int) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        text = SHOUT.replace("shout", f"own{number}")
        (folder / f"own{number}.yaml").write_text(text)


def test_an_agent_is_built_when_it_is_asked_for_and_once(folder: Path, built: list[str]) -> None:
    write_agents(folder, 5)
    catalog = Catalog(Settings(agents=folder))

    agents = [catalog.get("own3"), catalog.get("own3")]
    catalog.reload()

    assert built == ["own3"]
    assert agents == [catalog.get("own3")] * 2


def test_what_is_about_all_agents_builds_those_that_nobody_asked_for(
    folder: Path, built: list[str]
) -> None:
    write_agents(folder, 5)
    (folder / "wrong.yaml").write_text(SHOUT.replace("shout", "wrong").replace("upper", "uper"))
    catalog = Catalog(Settings(agents=folder), shipped=folder / "none")
    catalog.get("own3")

    names = [agent.name for agent in catalog.list()]

    assert names == [f"own{number}" for number in range(5)]
    assert sorted(built) == [*names, "wrong"]
    assert [problem.details["file"] for problem in catalog.problems()] == [
        str(folder / "wrong.yaml")
    ]
    assert told(Invalid, catalog.get, "wrong").code == "invalid_agent"


def test_a_file_that_changes_before_its_agent_was_built_counts_as_it_is_now(
    folder: Path, built: list[str]
) -> None:
    write_agents(folder, 2)
    catalog = Catalog(Settings(agents=folder))
    (folder / "own0.yaml").write_text(SHOUT.replace("shout", "own0").replace("!", "??"))
    (folder / "own1.yaml").unlink()

    reload = catalog.reload()

    assert reload == Reload(("own0",), ("own1",))
    assert "??" in catalog.get("own0").sources["own0"]
    assert told(NotFound, catalog.get, "own1").code == "agent_not_found"


def test_a_fault_stays_told_while_the_last_good_version_is_in_use(folder: Path) -> None:
    write_agents(folder, 1)
    catalog = Catalog(Settings(agents=folder))
    good = catalog.get("own0")
    (folder / "own0.yaml").write_text(SHOUT.replace("shout", "own0").replace("upper", "uper"))

    for _ in range(3):
        catalog.reload()

        assert catalog.get("own0") is good
        assert len(catalog.problems()) == 1


def test_saving_an_agent_builds_no_other(folder: Path, built: list[str]) -> None:
    write_agents(folder, 5)
    catalog = Catalog(Settings(agents=folder))
    catalog.build_rest()
    built.clear()

    catalog.create(SHOUT)

    assert built == ["shout"]


async def test_an_open_catalog_builds_all_agents_beside_and_tells_their_faults(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_agents(folder, 5)
    (folder / "wrong.yaml").write_text(SHOUT.replace("shout", "wrong").replace("upper", "uper"))
    caplog.set_level(logging.INFO)

    async with open_catalog(Settings(agents=folder)) as catalog:
        await asyncio.wait_for(catalog.reloaded.wait(), 20)

        assert all(catalog.is_built(f"own{number}") for number in range(5))
        assert "wrong.yaml:4" in caplog.text
