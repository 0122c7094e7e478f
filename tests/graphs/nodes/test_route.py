"""The node `route`: by conditions, or by a model's choice."""

from __future__ import annotations

from typing import Any

import pytest

from config.errors import Unavailable
from tests.support.graph_runs import agent_of_yaml, run
from tests.support.graphs import (
    FakeModels,
    chat,
    context,
)

ROUTED = """\
input: {question: string}
nodes:
  sort:
    ROUTE
  money: {type: set, values: {said: money}}
  other: {type: set, values: {said: other}}
edges: {money: end, other: end}
output: [said]
"""


BY_MODEL = """type: route
    prompt: "{{ question }}"
    choices: {money: The customer wants money back., other: Anything else.}
    DEFAULT"""


def routed(route: str) -> Any:
    return agent_of_yaml(ROUTED.replace("ROUTE", route))


async def test_a_route_goes_by_expressions() -> None:
    agent = routed(
        "type: route\n    branches: [{when: \"'refund' in question\", to: money}, {else: other}]"
    )
    for question, said in [("a refund!", "money"), ("hello", "other")]:
        assert (await run(agent, {"question": question}, context())).output["said"] == said


async def test_a_route_goes_where_a_model_says() -> None:
    agent = routed(BY_MODEL.replace("DEFAULT", ""))
    for answer in ("money", "other"):
        model = chat(f'{{"choice": "{answer}"}}')
        used = context(models=FakeModels({"chat": model}))
        transcript = await run(agent, {"question": "?"}, used)
        assert transcript.output["said"] == answer
        assert "- money: The customer wants money back." in model.asked[0][0].content
    assert transcript.kinds("progress")[-1]["choice"] == "other"


async def test_route_without_a_capable_model_takes_its_default_or_fails() -> None:
    with pytest.raises(Unavailable):
        await run(routed(BY_MODEL.replace("DEFAULT", "")), {"question": "?"}, context())
    agent = routed(BY_MODEL.replace("DEFAULT", "default: other"))
    for used in (context(), context('{"choice": "nonsense"}')):
        transcript = await run(agent, {"question": "?"}, used)
        assert transcript.output["said"] == "other"
        assert transcript.kinds("warning")[-1]["handled"] == "default"
