"""The node `human`: questions to a person, and answers that are checked."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from config.errors import Invalid
from tests.support.graph_runs import agent_of_yaml, run
from tests.support.graphs import (
    context,
)

ASKING = """\
input: {draft: string}
nodes:
  ask:
    type: human
    message: "Is '{{ draft }}' good?"
    show: {draft: "{{ draft }}"}
    answer: {good: boolean, why: {type: string, default: none}}
    save: {good: good, why: why, whole: answer}
output: [good, why, whole]
"""


async def test_a_person_is_asked_and_the_run_goes_on_with_the_answer() -> None:
    agent = agent_of_yaml(ASKING)
    graph = agent.compile(InMemorySaver())
    transcript = await run(agent, {"draft": "D"}, context(), graph=graph)
    asked = transcript.interrupts[0]["value"]
    assert (asked["message"], asked["show"]) == ("Is 'D' good?", {"draft": "D"})
    assert asked["schema"]["required"] == ["good"]
    transcript = await run(
        agent, context=context(), graph=graph, given=Command(resume={"good": True})
    )
    assert transcript.output == {
        "good": True,
        "why": "none",
        "whole": {"good": True, "why": "none"},
    }


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"god": True}, "Did you mean 'good'?"),
        ({"good": "yes"}, "must be a boolean"),
        ("yes", "must be an object"),
        ({"why": "x"}, "good: is required"),
    ],
)
async def test_answer_of_a_person_that_does_not_fit_is_asked_for_again(
    answer: Any, says: str
) -> None:
    agent = agent_of_yaml(ASKING)
    graph = agent.compile(InMemorySaver())
    await run(agent, {"draft": "D"}, context(), graph=graph)
    transcript = await run(agent, context=context(), graph=graph, given=Command(resume=answer))
    assert says in transcript.interrupts[0]["value"]["error"]
    good = Command(resume={"good": False, "why": "w"})
    transcript = await run(agent, context=context(), graph=graph, given=good)
    assert transcript.output["why"] == "w"


@pytest.mark.parametrize("type_", ["human", "text"])
@pytest.mark.parametrize(
    "schema",
    [
        '{"$dynamicRef": "http://127.0.0.1:9/schema"}',
        '{items: {"$ref": "file:///etc/hostname"}}',
        '{"$ref": "#"}',
        '{pattern: "(?=a)b"}',
    ],
)
def test_a_schema_that_refers_to_elsewhere_is_a_problem_of_the_file(
    type_: str, schema: str
) -> None:
    asked = "message" if type_ == "human" else "prompt"

    with pytest.raises(Invalid) as caught:
        agent_of_yaml(
            f"nodes: {{a: {{type: {type_}, {asked}: M, schema: {schema}}}}}\noutput: []\n"
        )

    assert caught.value.code == "invalid_agent"
    assert "nodes.a.schema" in str(caught.value)


async def test_answer_of_a_person_is_checked_against_a_json_schema() -> None:
    agent = agent_of_yaml(
        "nodes: {a: {type: human, message: M, schema: {type: integer, minimum: 3}, save: n}}\n"
        "output: [n]\n"
    )
    graph = agent.compile(InMemorySaver())
    await run(agent, {}, context(), graph=graph)
    transcript = await run(agent, context=context(), graph=graph, given=Command(resume=1))
    assert "less than the minimum" in transcript.interrupts[0]["value"]["error"]
    transcript = await run(agent, context=context(), graph=graph, given=Command(resume=4))
    assert transcript.output["n"] == 4


async def test_question_that_shows_too_much_is_not_asked() -> None:
    text = """\
    input: {items: list}
    nodes:
      ask: {type: human, message: Which?, show: "{{ items }}", save: answer}
    output: [answer]
    """
    agent = agent_of_yaml(dedent(text))
    with pytest.raises(Invalid, match="at most 20000 values") as caught:
        await run(agent, {"items": list(range(20_000))}, context())
    assert caught.value.details == {"field": "show", "node": "ask"}
