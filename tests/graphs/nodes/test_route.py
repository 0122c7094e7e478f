"""The route and human nodes, and retrieve: where a run goes, and what it asks."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from config.errors import Invalid, NotFound, Unavailable
from tests.support.graph_runs import agent_of_yaml, run
from tests.support.graphs import (
    FakeDocument,
    FakeIndexes,
    FakeModels,
    FakePassage,
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
        told = await run(agent, {"question": "?"}, used)
        assert told.output["said"] == answer
        assert "- money: The customer wants money back." in model.asked[0][0].content
    assert told.kinds("progress")[-1]["choice"] == "other"


async def test_where_no_model_can_choose_the_default_is_taken_or_it_fails() -> None:
    with pytest.raises(Unavailable):
        await run(routed(BY_MODEL.replace("DEFAULT", "")), {"question": "?"}, context())
    agent = routed(BY_MODEL.replace("DEFAULT", "default: other"))
    for used in (context(), context('{"choice": "nonsense"}')):
        told = await run(agent, {"question": "?"}, used)
        assert told.output["said"] == "other"
        assert told.kinds("warning")[-1]["handled"] == "default"


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
    told = await run(agent, {"draft": "D"}, context(), graph=graph)
    asked = told.interrupts[0]["value"]
    assert (asked["message"], asked["show"]) == ("Is 'D' good?", {"draft": "D"})
    assert asked["schema"]["required"] == ["good"]
    told = await run(agent, context=context(), graph=graph, given=Command(resume={"good": True}))
    assert told.output == {
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
async def test_an_answer_that_does_not_fit_is_asked_for_again(answer: Any, says: str) -> None:
    agent = agent_of_yaml(ASKING)
    graph = agent.compile(InMemorySaver())
    await run(agent, {"draft": "D"}, context(), graph=graph)
    told = await run(agent, context=context(), graph=graph, given=Command(resume=answer))
    assert says in told.interrupts[0]["value"]["error"]
    good = Command(resume={"good": False, "why": "w"})
    told = await run(agent, context=context(), graph=graph, given=good)
    assert told.output["why"] == "w"


async def test_an_answer_may_have_a_json_schema() -> None:
    agent = agent_of_yaml(
        "nodes: {a: {type: human, message: M, schema: {type: integer, minimum: 3}, save: n}}\n"
        "output: [n]\n"
    )
    graph = agent.compile(InMemorySaver())
    await run(agent, {}, context(), graph=graph)
    told = await run(agent, context=context(), graph=graph, given=Command(resume=1))
    assert "less than the minimum" in told.interrupts[0]["value"]["error"]
    told = await run(agent, context=context(), graph=graph, given=Command(resume=4))
    assert told.output["n"] == 4


LIBRARY = FakeIndexes(
    [FakePassage("p1", "start here."), FakePassage("p2", "start there.", document="d2")],
    [FakeDocument("d1", "Whole text."), FakeDocument("d2", "Other.")],
)


def retrieving(fields: str) -> Any:
    return agent_of_yaml(
        f"input: {{ids: {{type: list, default: null}}}}\n"
        f"nodes: {{look: {{type: retrieve, index: docs, {fields}, save: found}}}}\n"
        "output: [found]\n"
    )


async def test_retrieve_finds_passages_documents_and_their_list() -> None:
    used = context(indexes=LIBRARY, tenant="t1")
    told = await run(retrieving("query: start, limit: 1, mode: dense"), {}, used)
    assert [p["id"] for p in told.output["found"]] == ["p1"]
    assert LIBRARY.searches[-1] == {
        "name": "docs", "query": "start", "limit": 1, "mode": "dense", "tenant": "t1",
        "where": None, "expand": "none", "rerank": None, "highlight": False,
    }  # fmt: skip
    narrow = retrieving("query: start, documents: '{{ ids }}'")
    assert [p["id"] for p in (await run(narrow, {"ids": ["d2"]}, used)).output["found"]] == ["p2"]
    assert len((await run(narrow, {}, used)).output["found"]) == 2
    listed = (await run(retrieving("list: true"), {}, used)).output["found"]
    assert [set(document) for document in listed] == [{"id", "title", "source"}] * 2
    whole = (await run(retrieving("document: d2"), {}, used)).output["found"]
    assert whole["text"] == "Other."


async def test_retrieve_hands_on_how_to_search_and_where() -> None:
    agent = agent_of_yaml(
        "input: {names: {type: any}, wanted: {type: object}}\n"
        "nodes: {look: {type: retrieve, index: '{{ names }}', query: start, expand: section,\n"
        "  rerank: true, highlight: true, where: {language: '{{ wanted.language }}', page: 3},\n"
        "  save: found}}\noutput: [found]\n"
    )
    used = context(indexes=LIBRARY)
    wanted = {"language": "en"}
    await run(agent, {"names": ["docs", "notes", "docs"], "wanted": wanted}, used)
    asked = LIBRARY.searches[-1]
    assert asked["name"] == ["docs", "notes"]
    assert asked["where"] == {"language": "en", "page": 3}
    assert (asked["expand"], asked["rerank"], asked["highlight"]) == ("section", True, True)
    with pytest.raises(Invalid, match="names no index"):
        await run(agent, {"names": [], "wanted": wanted}, used)


async def test_documents_are_read_from_one_index() -> None:
    agent = agent_of_yaml(
        "nodes: {look: {type: retrieve, index: [a, b], document: d1, save: found}}\n"
        "output: [found]\n"
    )
    with pytest.raises(Invalid, match="from one"):
        await run(agent, {}, context(indexes=LIBRARY))


async def test_retrieve_tells_what_is_missing() -> None:
    with pytest.raises(NotFound):
        await run(retrieving("document: d9"), {}, context(indexes=LIBRARY))
    with pytest.raises(Invalid, match="whole number"):
        await run(retrieving("query: x, limit: '{{ ids }}'"), {}, context(indexes=LIBRARY))
