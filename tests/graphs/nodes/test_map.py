"""The map and subgraph nodes: many items at once, other agents, over crashes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from config.errors import Invalid, Unavailable
from graphs.compile.state import HIDDEN
from tests.support.graph_runs import agent_of_yaml, find_inner, run
from tests.support.graphs import FakeModels, chat, context

EACH = """\
input: {items: list, word: {type: string, default: x}}
nodes:
  each:
    type: map
    over: "{{ items }}"
    concurrency: 3
    POLICY
    nodes:
      ask: {type: text, prompt: "{{ word }} {{ item }} {{ item_index }}", save: said}
      shout: {type: set, values: {loud: "{{ said | upper }}"}}
    result: {item: "{{ item }}", said: "{{ loud }}"}
    save: {results: results, errors: errors}
output: [results, errors]
"""


def mapping(policy: str = "on_item_error: fail") -> Any:
    return agent_of_yaml(EACH.replace("POLICY", policy))


def echo(messages: Any) -> str:
    return f"said {messages[-1].content}"


def failing(*items: int) -> Any:
    def answer(messages: Any) -> Any:
        text = str(messages[-1].content)
        if any(text.startswith(f"x {item} ") for item in items):
            return Unavailable(f"no {text}", code="down")
        return echo(messages)

    return answer


async def test_map_results_are_in_the_order_of_the_items() -> None:
    arrived: list[str] = []

    def answer(messages: Any) -> Any:
        arrived.append(str(messages[-1].content))
        return echo(messages)

    transcript = await run(mapping(), {"items": ["a", "b", "c", "d"]}, context(answer))
    assert [r["item"] for r in transcript.output["results"]] == ["a", "b", "c", "d"]
    assert transcript.output["results"][2]["said"] == "SAID X C 2"
    assert len(arrived) == 4
    assert (
        transcript.kinds("progress")[-1] | {"done": 4, "total": 4}
        == transcript.kinds("progress")[-1]
    )
    assert transcript.steps.count("each/item") == 4


async def test_no_more_items_than_allowed_run_at_once() -> None:
    running, most = 0, 0
    gate = asyncio.Event()

    class Counting(FakeModels):
        def lease(self, *args: Any, **kwargs: Any) -> Any:
            nonlocal running, most
            outer = super().lease(*args, **kwargs)

            class Lease:
                async def __aenter__(self) -> Any:
                    nonlocal running, most
                    running += 1
                    most = max(most, running)
                    if running == 3:
                        gate.set()
                    await asyncio.wait_for(gate.wait(), 240)
                    return await outer.__aenter__()

                async def __aexit__(self, *error: Any) -> Any:
                    nonlocal running
                    running -= 1
                    return await outer.__aexit__(*error)

            return Lease()

    used = context(models=Counting({"chat": chat(echo)}))
    transcript = await run(mapping(), {"items": list(range(9))}, used)
    assert len(transcript.output["results"]) == 9
    assert most == 3


async def test_map_over_an_empty_list_gives_empty_results() -> None:
    transcript = await run(mapping(), {"items": []}, context(echo))
    assert transcript.output == {"results": [], "errors": []}


async def test_map_over_a_value_that_is_no_list_is_refused() -> None:
    agent = agent_of_yaml(EACH.replace("POLICY", "").replace("items: list", "items: any"))
    with pytest.raises(Invalid, match="must give a list, not int"):
        await run(agent, {"items": 3}, context(echo))


async def test_failing_item_fails_the_map_and_is_named() -> None:
    with pytest.raises(Unavailable, match="no x 7 1") as caught:
        await run(mapping(), {"items": [1, 7]}, context(failing(7)))
    assert caught.value.details["item"] == 1


async def test_failing_items_are_left_out_or_collected_by_policy() -> None:
    transcript = await run(
        mapping("on_item_error: skip"), {"items": [1, 7, 3]}, context(failing(7))
    )
    assert [r["item"] for r in transcript.output["results"]] == [1, 3]
    (error,) = transcript.output["errors"]
    assert (error["index"], error["code"]) == (1, "down")
    transcript = await run(
        mapping("on_item_error: collect"), {"items": [1, 7, 3]}, context(failing(7))
    )
    assert [r and r["item"] for r in transcript.output["results"]] == [1, None, 3]
    assert len(transcript.output["errors"]) == 1


async def test_after_a_crash_finished_items_are_not_run_again() -> None:
    asked: list[str] = []
    broken = [True]

    def answer(messages: Any) -> Any:
        text = str(messages[-1].content)
        asked.append(text)
        if text.startswith("x 4 ") and broken:
            broken.clear()
            return RuntimeError("the process died")
        return echo(messages)

    agent = agent_of_yaml(EACH.replace("concurrency: 3", "concurrency: 1").replace("POLICY", ""))
    graph = agent.compile(InMemorySaver())
    used = context(answer)
    with pytest.raises(RuntimeError):
        await run(agent, {"items": [1, 2, 3, 4, 5]}, used, graph=graph)
    assert len(asked) == 4
    config: Any = {"configurable": {"thread_id": "t"}}
    values = await graph.ainvoke(None, config, context=used)
    assert [r["item"] for r in agent.output(values)["results"]] == [1, 2, 3, 4, 5]
    assert asked == [f"x {n} {n - 1}" for n in (1, 2, 3, 4, 4, 5)]


async def test_retry_holds_for_each_item_by_itself() -> None:
    asked: list[str] = []

    def answer(messages: Any) -> Any:
        text = str(messages[-1].content)
        asked.append(text)
        if text.startswith("x 2 ") and asked.count(text) < 3:
            return Unavailable("down", code="down")
        return echo(messages)

    for policy in ("fail", "collect"):
        asked.clear()
        agent = mapping(f"on_item_error: {policy}\n    retry: {{attempts: 3, backoff_s: 0}}")
        transcript = await run(agent, {"items": [1, 2, 3]}, context(answer))
        assert [r["item"] for r in transcript.output["results"]] == [1, 2, 3]
        assert sorted(asked) == ["x 1 0", *["x 2 1"] * 3, "x 3 2"]
        assert [event["attempt"] for event in transcript.kinds("warning")] == [1, 2]


async def test_item_state_has_only_the_outer_channels_that_it_reads() -> None:
    agent = mapping()
    graph = agent.compile(InMemorySaver())
    seen: set[str] = set()
    stream = graph.astream(
        agent.initial_state({"items": [1]}),
        {"configurable": {"thread_id": "t"}},
        context=context(echo),
        stream_mode="values",
        subgraphs=True,
    )
    async for namespace, values in stream:
        if namespace:
            seen |= set(values)
    assert seen - HIDDEN == {"word", "item", "item_index", "said", "loud"}


ASKING = """\
input: {items: list}
nodes:
  each:
    type: map
    over: "{{ items }}"
    concurrency: 2
    nodes:
      ask: {type: human, when: "item != 'slow'", message: "Is {{ item }} good?", save: word}
      say: {type: text, when: "item == 'slow'", prompt: "slow", save: word}
    result: "{{ word }}"
    save: words
output: [words]
"""


async def test_questions_of_all_items_are_asked_together_and_answered_one_by_one() -> None:
    agent = agent_of_yaml(ASKING)
    graph = agent.compile(InMemorySaver())
    used = context()
    transcript = await run(agent, {"items": ["a", "b", "c"]}, used, graph=graph)
    open_ = [3, 2, 1]
    while transcript.interrupts:
        assert len(transcript.interrupts) == open_.pop(0)
        first = transcript.interrupts[0]
        answer = {first["id"]: first["value"]["message"][3]}
        transcript = await run(agent, context=used, graph=graph, given=Command(resume=answer))
    assert transcript.output["words"] == ["a", "b", "c"]


async def test_question_of_one_item_lets_the_others_finish() -> None:
    asked: list[str] = []

    def answer(messages: Any) -> str:
        asked.append(str(messages[-1].content))
        return "done"

    agent = agent_of_yaml(ASKING)
    graph = agent.compile(InMemorySaver())
    used = context(answer)
    transcript = await run(agent, {"items": ["a", "slow"]}, used, graph=graph)
    assert transcript.steps.count("each/item") == 1
    resume = Command(resume={transcript.interrupts[0]["id"]: "yes"})
    transcript = await run(agent, context=used, graph=graph, given=resume)
    assert transcript.output["words"] == ["yes", "done"]
    assert asked == ["slow"]


async def test_a_map_within_a_map() -> None:
    agent = agent_of_yaml(
        """
input: {rows: list}
nodes:
  outer:
    type: map
    over: "{{ rows }}"
    as: row
    nodes:
      inner:
        type: map
        over: "{{ row }}"
        as: cell
        nodes: {twice: {type: set, values: {two: "{{ cell * 2 }}"}}}
        result: "{{ two }}"
        save: cells
    result: "{{ cells | sum }}"
    save: sums
output: [sums]
"""
    )
    transcript = await run(agent, {"rows": [[1, 2], [3]]}, context())
    assert transcript.output["sums"] == [6, 6]


async def test_another_agent_runs_for_each_item() -> None:
    agent = agent_of_yaml(
        "input: {items: list}\nnodes:\n  each: {type: map, over: '{{ items }}', agent: inner, "
        "input: {text: '{{ item }}'}, result: '{{ answer }}', save: all}\noutput: [all]\n",
        find_inner,
    )
    assert (await run(agent, {"items": ["a", "b"]}, context())).output["all"] == ["aa", "bb"]
    assert set(agent.sources) == {"test", "inner"}
    assert agent.calls == ("inner",)
