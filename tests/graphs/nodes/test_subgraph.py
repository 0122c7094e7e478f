"""The node `subgraph`: another agent as one step."""

from __future__ import annotations

import pytest

from config.errors import Invalid
from graphs.loading.build import AgentSource
from tests.support.graph_runs import INNER_AGENT, agent_of_yaml, find_inner, run
from tests.support.graphs import context


async def test_a_subgraph_maps_input_and_output() -> None:
    agent = agent_of_yaml(
        "input: {word: string}\nnodes:\n"
        "  all: {type: subgraph, agent: inner, input: {text: '{{ word }}', times: 3}, save: all}\n"
        "  one: {type: subgraph, agent: inner, input: {text: '{{ word }}'}, save: {two: answer}}\n"
        "output: [all, two]\n",
        find_inner,
    )
    transcript = await run(agent, {"word": "a"}, context())
    assert transcript.output == {"all": {"answer": "aaa"}, "two": "aa"}
    assert "all/double" in transcript.steps


@pytest.mark.parametrize(
    ("node", "says"),
    [
        ("{type: subgraph, agent: innr, save: a}", "no agent 'innr'"),
        ("{type: subgraph, agent: inner, save: a}", "needs the input 'text'"),
        ("{type: subgraph, agent: inner, input: {txt: 1}, save: a}", "Did you mean 'text'"),
        ("{type: subgraph, agent: inner, input: {text: 1}, save: {a: answr}}", "'answer'"),
        ("{type: subgraph, agent: test, save: a}", "test → test"),
    ],
)
def test_wrong_call_of_an_agent_is_a_problem(node: str, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        agent_of_yaml(f"nodes:\n  x: {node}\noutput: [a]\n", find_inner)
    assert says in str(caught.value.details["problems"])


async def test_changed_called_agent_changes_the_version_of_its_caller() -> None:
    yaml = "nodes: {x: {type: subgraph, agent: inner, input: {text: a}, save: b}}\noutput: [b]\n"
    one = agent_of_yaml(yaml, find_inner)
    other = agent_of_yaml(
        yaml,
        lambda name: AgentSource("inner", INNER_AGENT.replace("default: 2", "default: 3"), "own"),
    )
    assert one.version != other.version
    assert one.version == agent_of_yaml(yaml, find_inner).version
