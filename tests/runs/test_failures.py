"""How the failure of a run is put into words."""

from __future__ import annotations

from pathlib import Path

import pytest
from langgraph.errors import InvalidUpdateError

from config.errors import NotFound
from config.settings import Settings
from graphs.catalog import Catalog
from runs.failures import describe_error, find_origin
from tests.support.graph_runs import agent_of_yaml, run
from tests.support.graphs import context


def test_an_error_of_ours_is_told_as_it_is() -> None:
    assert describe_error(NotFound("There is no index 'x'.", code="index_not_found")) == {
        "code": "index_not_found",
        "family": "not_found",
        "message": "There is no index 'x'.",
    }


def test_parallel_writes_to_one_channel_are_told_with_what_to_do() -> None:
    error = describe_error(
        InvalidUpdateError("At key 'c': Can receive only one value per step.\nMore.")
    )
    assert (error["code"], error["family"]) == ("parallel_writes", "invalid")
    assert "Give it a reducer" in error["message"]
    assert "'c'" in error["message"]


@pytest.mark.parametrize(
    "text", ["Expected dict, got 5", "Expected node 'a' to update at least one of ['x'], got {}"]
)
def test_other_wrong_updates_are_no_parallel_writes(text: str) -> None:
    error = describe_error(InvalidUpdateError(text), {"node": "a", "file": "b.py", "line": 3})

    assert error["code"] == "step_failed"
    assert error["message"] == f"a (b.py:3): InvalidUpdateError: {text}"


BROKEN = '''
"""Break."""

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict):
    x: int


def divide(state: State) -> dict:
    return {"x": 1 // 0}


def build() -> StateGraph:
    graph = StateGraph(State)
    graph.add_node("divide", divide)
    graph.add_edge(START, "divide")
    graph.add_edge("divide", END)
    return graph
'''
OUTER = """\
version: 1
name: outer
nodes:
  call: {type: subgraph, agent: broken, input: {x: 1}, save: {x: x}}
output: x
"""


@pytest.mark.parametrize(("name", "node"), [("broken", "divide"), ("outer", "call/divide")])
async def test_failure_of_user_code_names_node_file_and_line(
    tmp_path: Path, name: str, node: str
) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    (tmp_path / "outer.yaml").write_text(OUTER)
    agent = Catalog(Settings(agents=tmp_path)).get(name)
    begin = agent.initial_state({"x": 1} if name == "broken" else {})

    with pytest.raises(ZeroDivisionError) as caught:
        await agent.compile().ainvoke(begin, context=context())

    error = describe_error(caught.value, find_origin(caught.value, agent))
    assert error["details"] == {"node": node, "file": "broken.py", "line": 13}
    assert error["message"].startswith(f"{node} (broken.py:13): ZeroDivisionError")
    assert str(tmp_path) not in str(error)


EXCLUSIVE = """\
input: {x: {type: integer, default: 1}}
nodes:
  a: {type: set, values: {y: 0}}
  b: {type: set, values: {z: 1}}
  c: {type: set, WHEN values: {z: 2}}
  d: {type: set, values: {z: "{{ (z or 0) + 10 }}"}}
edges:
  a: AFTER
  b: d
  c: d
output: z
"""


@pytest.mark.parametrize(
    ("after", "when"),
    [("[{when: x > 0, to: b}, {else: c}]", ""), ("[b, c]", "when: x < 0,")],
    ids=["exclusive", "passed over"],
)
async def test_writes_that_are_not_parallel_are_taken(after: str, when: str) -> None:
    agent = agent_of_yaml(EXCLUSIVE.replace("AFTER", after).replace("WHEN", when))
    assert (await run(agent, {}, context())).output == {"z": 11}


async def test_writes_of_two_branches_at_once_name_their_channel() -> None:
    agent = agent_of_yaml(EXCLUSIVE.replace("AFTER", "[b, c]").replace("WHEN", ""))
    with pytest.raises(InvalidUpdateError) as caught:
        await run(agent, {}, context())
    assert describe_error(caught.value)["details"] == {"field": "z"}
