"""The node `tool`: one call with given arguments."""

from __future__ import annotations

from typing import Any

import pytest

from config.errors import Unavailable
from tests.support.graph_runs import agent_of_yaml, run
from tests.support.graphs import context, scripted_tool


async def test_a_tool_node_gives_its_result() -> None:
    agent = agent_of_yaml(
        "input: {n: integer}\nnodes:\n  sum: {type: tool, tool: calculate, "
        "arguments: {expression: '{{ n }} + 1'}, save: found}\noutput: [found]\n"
    )
    transcript = await run(agent, {"n": 41}, context())
    assert transcript.output["found"]["result"] == 42


async def test_a_tool_that_must_not_be_repeated_is_not_tried_again() -> None:
    tries: list[int] = []

    def fail(arguments: dict[str, Any]) -> None:
        tries.append(1)
        raise ConnectionError("broken")

    for repeatable, count in [(True, 3), (False, 1)]:
        tries.clear()
        agent = agent_of_yaml(
            "nodes:\n  pay: {type: tool, tool: pay, save: r, retry: {attempts: 3, backoff_s: 0}}\n"
            "output: [r]\n"
        )
        with pytest.raises(Unavailable):
            await run(agent, {}, context(tools=[scripted_tool("pay", fail, repeatable)]))
        assert len(tries) == count
