"""The agent node: a model that calls tools, within bounds, over crashes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver

from config.errors import NotFound, Unavailable
from tests.support.graph_runs import agent_of_yaml, run
from tests.support.graphs import FakeModels, calling, chat, context, scripted_tool

TALK = """\
input: {question: string}
nodes:
  work:
    type: agent
    prompt: "{{ question }}"
    tools: [calculate]
    max_steps: 3
    save: {answer: text, steps: steps, said: messages, citations: citations}
output: [answer, steps, said, citations]
"""


async def test_a_model_calls_tools_until_it_answers() -> None:
    model = chat(calling("calculate", expression="6 * 7"), "It is 42.")
    used = context(models=FakeModels({"chat": model}))
    transcript = await run(agent_of_yaml(TALK), {"question": "6 * 7?"}, used)
    assert (transcript.output["answer"], transcript.output["steps"]) == ("It is 42.", 1)
    assert [message["type"] for message in transcript.output["said"]] == ["ai", "tool", "ai"]
    assert '"result": 42' in model.asked[1][-1].content
    assert [(e["phase"], e["tool"]) for e in transcript.kinds("tool")] == [
        ("called", "calculate"),
        ("returned", "calculate"),
    ]
    assert model.bound[0][0]["function"]["name"] == "calculate"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (calling("calculat", expression="1"), "no tool 'calculat'. Did you mean 'calculate'"),
        (calling("calculate", expresion="1"), "expression|expresion"),
        (calling("calculate", expression="1 / 0"), "zero"),
    ],
)
async def test_wrong_tool_call_is_answered_with_its_error(call: AIMessage, says: str) -> None:
    model = chat(call, "I see.")
    used = context(models=FakeModels({"chat": model}))
    transcript = await run(agent_of_yaml(TALK), {"question": "?"}, used)
    answer = model.asked[1][-1]
    assert answer.status == "error"
    assert any(part in answer.content for part in says.split("|"))
    assert transcript.output["answer"] == "I see."


def leave(arguments: dict[str, Any]) -> None:
    raise SystemExit(3)


async def test_a_tool_that_exits_is_told_to_the_model() -> None:
    model = chat(calling("leave"), "It would not.")
    tool = replace(scripted_tool("leave", leave, repeatable=True), origin="mine.py")
    agent = agent_of_yaml(TALK.replace("[calculate]", "[leave]"))

    used = context(models=FakeModels({"chat": model}), tools=[tool])
    transcript = await run(agent, {"question": "?"}, used)

    assert transcript.output["answer"] == "It would not."
    assert "SystemExit: 3" in model.asked[1][-1].content


async def test_a_tool_that_exits_fails_its_item_of_a_map_alone() -> None:
    tool = replace(scripted_tool("leave", leave, repeatable=True), origin="mine.py")
    agent = agent_of_yaml(
        "nodes:\n"
        "  each:\n"
        "    type: map\n"
        "    over: [1, 2]\n"
        "    on_item_error: collect\n"
        "    nodes:\n"
        "      act: {type: tool, tool: leave, save: r, when: item == 1}\n"
        "    result: done\n"
        "    save: {results: results, errors: errors}\n"
        "output: [results, errors]\n"
    )
    output = (await run(agent, {}, context(tools=[tool]))).output

    assert output["results"] == [None, "done"]
    assert [error["code"] for error in output["errors"]] == ["tool_failed"]


@pytest.mark.parametrize("policy", ["{then: continue, default: {r: none}}", "{goto: after}"])
async def test_on_error_applies_to_a_tool_that_exits(policy: str) -> None:
    tool = replace(scripted_tool("leave", leave, repeatable=True), origin="mine.py")
    agent = agent_of_yaml(
        f"nodes:\n  act: {{type: tool, tool: leave, save: r, on_error: {policy}}}\n"
        "  after: {type: set, values: {done: true}}\noutput: [done]\n"
    )
    assert (await run(agent, {}, context(tools=[tool]))).output == {"done": True}


async def test_a_result_that_the_model_is_shown_in_part_is_a_warning() -> None:
    model = chat(calling("tell"), "Long.")
    tell = scripted_tool("tell", lambda arguments: "x" * 50_000, repeatable=True)
    agent = agent_of_yaml(TALK.replace("[calculate]", "[tell]"))

    used = context(models=FakeModels({"chat": model}), tools=[tell])
    transcript = await run(agent, {"question": "?"}, used)

    assert [each["code"] for each in transcript.kinds("warning")] == ["tool_result_shortened"]
    assert len(model.asked[1][-1].content) < 50_000


async def test_calls_of_one_answer_are_all_answered_in_order() -> None:
    both = AIMessage(
        "",
        tool_calls=[
            {"name": "calculate", "args": {"expression": f"{n} + 0"}, "id": f"c{n}"} for n in (1, 2)
        ],
    )
    model = chat(both, "done")
    await run(agent_of_yaml(TALK), {"question": "?"}, context(models=FakeModels({"chat": model})))
    answers = model.asked[1][-2:]
    assert [(m.tool_call_id, "result" in m.content) for m in answers] == [
        ("c1", True),
        ("c2", True),
    ]


async def test_after_the_bound_the_model_must_answer_without_tools() -> None:
    endless = calling("calculate", expression="1")
    model = chat(endless, endless, endless, "Well: 1.")
    transcript = await run(
        agent_of_yaml(TALK), {"question": "?"}, context(models=FakeModels({"chat": model}))
    )
    assert (transcript.output["answer"], transcript.output["steps"]) == ("Well: 1.", 3)
    assert "No more tools" in model.asked[3][-1].content
    assert [m["type"] for m in transcript.output["said"]] == ["ai", "tool"] * 3 + ["ai"]
    assert transcript.kinds("warning")[0]["code"] == "too_many_turns"
    with pytest.raises(Unavailable) as caught:
        await run(agent_of_yaml(TALK), {"question": "?"}, context(endless))
    assert caught.value.code == "too_many_turns"


async def test_a_model_that_cannot_call_tools_says_how_to_get_one() -> None:
    with pytest.raises(Unavailable, match="motet models add") as caught:
        await run(agent_of_yaml(TALK), {"question": "?"}, context())
    assert caught.value.code == "needs_language_model"


async def test_agent_with_an_unknown_tool_names_it() -> None:
    agent = agent_of_yaml(TALK.replace("[calculate]", "[calculator]"))
    with pytest.raises(NotFound, match="Did you mean 'calculate'"):
        await run(agent, {"question": "?"}, context("x"))


async def test_passages_that_a_tool_found_can_be_cited() -> None:
    passage = {"id": "p", "document": "d", "title": "T", "text": "A fact.", "start": 1, "end": 8}
    find = scripted_tool("find", lambda arguments: {"passages": [passage]})
    model = chat(calling("find"), calling("find"), "So it is [2].")
    used = context(models=FakeModels({"chat": model}), tools=[find])
    agent = agent_of_yaml(TALK.replace("[calculate]", "[find]"))
    transcript = await run(agent, {"question": "?"}, used)
    assert model.asked[1][-1].content.splitlines()[1:-1] == ["[1] T: A fact."]
    assert model.asked[2][-1].content.splitlines()[1:-1] == ["[2] T: A fact."]
    assert [(c["n"], c["start"]) for c in transcript.output["citations"]] == [(2, 1)]


async def test_after_a_crash_no_answer_and_no_tool_is_asked_for_again() -> None:
    done: list[str] = []
    broken = [True]

    def note(arguments: dict[str, Any]) -> str:
        done.append(arguments["word"])
        return "noted"

    def last(messages: Any) -> Any:
        if broken:
            broken.clear()
            return RuntimeError("the process died")
        return f"Noted {len(messages)}."

    model = chat(calling("note", word="a"), calling("note", word="b"), last)
    used = context(models=FakeModels({"chat": model}), tools=[scripted_tool("note", note)])
    agent = agent_of_yaml(TALK.replace("[calculate]", "[note]"))
    graph = agent.compile(InMemorySaver())
    with pytest.raises(RuntimeError):
        await run(agent, {"question": "?"}, used, graph=graph)
    assert (done, len(model.asked)) == (["a", "b"], 3)
    config: Any = {"configurable": {"thread_id": "t"}}
    values = await graph.ainvoke(None, config, context=used)
    assert agent.output(values)["answer"] == "Noted 6."  # the note on texts of others among them
    assert (done, len(model.asked)) == (["a", "b"], 4)


async def test_retry_holds_for_each_answer_and_call_by_itself() -> None:
    tries: list[int] = []

    def shaky(arguments: dict[str, Any]) -> str:
        tries.append(1)
        if len(tries) < 2:
            raise ConnectionError("broken")
        return "good"

    model = chat(calling("shaky"), Unavailable("down"), "Done.")
    used = context(models=FakeModels({"chat": model}), tools=[scripted_tool("shaky", shaky)])
    yaml = TALK.replace("[calculate]", "[shaky]").replace(
        "max_steps: 3", "retry: {attempts: 2, backoff_s: 0}"
    )
    transcript = await run(agent_of_yaml(yaml), {"question": "?"}, used)
    assert transcript.output["answer"] == "Done."
    assert (len(tries), len(model.asked)) == (2, 3)


async def test_durable_calls_emit_their_own_step_and_attempt() -> None:
    model = chat(calling("calculate", expression="1 + 1"), Unavailable("down"), "Done.")
    used = context(models=FakeModels({"chat": model}))
    yaml = TALK.replace("max_steps: 3", "retry: {attempts: 2, backoff_s: 0}")
    transcript = await run(agent_of_yaml(yaml), {"question": "?"}, used)
    assert transcript.steps == ["work/model", "work/calculate", "work/model", "work"]
    nodes = {
        kind: {e["node"] for e in transcript.kinds(kind)} for kind in ("model", "tool", "warning")
    }
    assert nodes == {"model": {"work/model"}, "tool": {"work/calculate"}, "warning": {"work/model"}}
    (again,) = transcript.kinds("attempt")
    assert (again["node"], again["number"]) == ("work/model", 2)


async def test_while_tools_work_no_model_is_leased() -> None:
    seen: list[int] = []
    models = FakeModels({"chat": chat(calling("look"), "ok")})
    look = scripted_tool("look", lambda arguments: seen.append(models.leased) or "seen")
    agent = agent_of_yaml(TALK.replace("[calculate]", "[look]"))
    await run(agent, {"question": "?"}, context(models=models, tools=[look]))
    assert seen == [0]
    assert models.most_leased == 1
