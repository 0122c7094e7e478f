"""What every node has: when, save, retry, time limit, cache, on_error; and state over runs."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver

from config.errors import Busy, Invalid, NotFound, TimedOut, Unavailable
from tests.support.graph_runs import agent_of_yaml, run
from tests.support.graphs import FakeIndexes, FakePassage, context

SEARCH = """\
input: {query: {type: string, default: start}}
nodes:
  look: {type: retrieve, index: docs, query: "{{ query }}", save: found, POLICY}
  count: {type: set, values: {size: "{{ found | length if found is not none else -1 }}"}}
output: [found, size]
"""


def searching(policy: str) -> Any:
    return agent_of_yaml(SEARCH.replace("POLICY", policy))


def indexes(*failures: Exception) -> FakeIndexes:
    return FakeIndexes([FakePassage("p", "start here.")], failures=list(failures))


async def test_transient_failure_is_retried_with_a_warning() -> None:
    found = indexes(Unavailable("down", code="down"), Busy("full"))
    transcript = await run(
        searching("retry: {attempts: 3, backoff_s: 0}"), {}, context(indexes=found)
    )
    assert transcript.output["size"] == 1
    assert [event["code"] for event in transcript.kinds("warning")] == ["down", "busy"]
    assert [event["number"] for event in transcript.kinds("attempt")] == [2, 3]


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (Unavailable("down", permanent=True), 1),
        (NotFound("no index"), 1),
        (Invalid("no"), 1),
        (RuntimeError("a mistake"), 1),
        (TimedOut("slow"), 2),
    ],
)
async def test_permanent_failure_is_not_retried(error: Exception, tries: int) -> None:
    found = indexes(error, error, error)
    with pytest.raises(type(error)):
        await run(searching("retry: {attempts: 2, backoff_s: 0}"), {}, context(indexes=found))
    assert len(found.searches) == tries


async def test_step_beyond_its_timeout_fails_with_the_node_named() -> None:
    never = asyncio.Event()

    class Slow(FakeIndexes):
        async def search(self, *args: Any, **kwargs: Any) -> Any:
            await never.wait()

    with pytest.raises(TimedOut, match=r"'look' took longer than 0\.01 s") as caught:
        await run(searching("timeout_s: 0.01"), {}, context(indexes=Slow()))
    assert caught.value.details["node"] == "look"
    transcript = await run(
        searching("timeout_s: 0.01, on_error: {default: {found: []}}"), {}, context(indexes=Slow())
    )
    assert transcript.output["size"] == 0


async def test_an_error_names_the_node_and_field() -> None:
    agent = agent_of_yaml("nodes: {a: {type: set, values: {b: '{{ 1 / 0 }}'}}}\noutput: [b]\n")
    with pytest.raises(Invalid) as caught:
        await run(agent, {}, context())
    assert (caught.value.details["node"], caught.value.details["field"]) == ("a", "b")


async def test_on_error_continue_leaves_the_channels_as_they_were() -> None:
    transcript = await run(
        searching("on_error: continue"), {}, context(indexes=indexes(Busy("full")))
    )
    assert transcript.output == {"found": None, "size": -1}
    assert transcript.kinds("warning")[0]["handled"] == "continue"


async def test_on_error_default_may_use_the_error() -> None:
    agent = searching("on_error: {default: {found: ['{{ error.code }}: {{ error.message }}']}}")
    transcript = await run(agent, {}, context(indexes=indexes(NotFound("gone", code="no_index"))))
    assert transcript.output["found"] == ["no_index: gone"]


async def test_on_error_handles_only_the_codes_it_names() -> None:
    agent = searching("on_error: {codes: [busy], default: {found: []}}")
    assert (await run(agent, {}, context(indexes=indexes(Busy("full"))))).output["size"] == 0
    with pytest.raises(NotFound):
        await run(agent, {}, context(indexes=indexes(NotFound("gone"))))


async def test_on_error_goto_is_taken_by_a_failed_node_alone() -> None:
    agent = agent_of_yaml(
        """
input: {query: {type: string, default: start}}
nodes:
  look: {type: retrieve, index: docs, query: "{{ query }}", save: found, on_error: {goto: sorry}}
  done: {type: set, values: {said: done}}
  sorry: {type: set, values: {said: sorry}}
edges: {look: done, done: end, sorry: end}
output: [said]
"""
    )
    graph = agent.compile(InMemorySaver())
    bad = context(indexes=indexes(Busy("full")))
    for used, said in [(bad, "sorry"), (context(indexes=indexes()), "done")]:
        transcript = await run(agent, {}, used, graph=graph)
        assert transcript.output["said"] == said


async def test_a_result_is_cached_by_inputs_tenant_and_node() -> None:
    cached = searching("cache: 60")
    found = indexes()
    shared = replace(context(indexes=found), cache=InMemoryCache())
    for query, tenant in [("start", "a"), ("start", "a"), ("start now", "a"), ("start", "b")]:
        transcript = await run(cached, {"query": query}, replace(shared, tenant=tenant))
        assert transcript.output["size"] == 1
    searched = [(each["query"], each["tenant"]) for each in found.searches]
    assert searched == [("start", "a"), ("start now", "a"), ("start", "b")]
    other = agent_of_yaml(SEARCH.replace("POLICY", "cache: 60, limit: 3"))
    await run(other, {}, replace(shared, tenant="a"))
    assert len(found.searches) == 4


async def test_node_whose_condition_does_not_hold_is_passed_over() -> None:
    agent = agent_of_yaml(
        "input: {go: boolean}\nnodes:\n"
        "  a: {type: set, when: go, values: {said: a}}\n"
        "  b: {type: set, when: not go, values: {said: b}}\noutput: [said]\n"
    )
    assert (await run(agent, {"go": True}, context())).output["said"] == "a"
    assert (await run(agent, {"go": False}, context())).output["said"] == "b"


async def test_reducers_combine_writes() -> None:
    agent = agent_of_yaml(
        """
state:
  listed: {type: list, reduce: append}
  sum: {type: number, reduce: add, default: 10}
  both: {type: object, reduce: merge, default: {z: 0}}
  talk: messages
nodes:
  a: {type: set, values: {listed: 1, sum: 1, both: {x: 1}, talk: {role: user, content: hi}}}
  b: {type: set, values: {listed: [2], sum: 2.5, both: {y: 2}, talk: {role: ai, content: ho}}}
output: [listed, sum, both, talk]
"""
    )
    transcript = await run(agent, {}, context())
    talk = transcript.output.pop("talk")
    assert transcript.output == {"listed": [1, [2]], "sum": 13.5, "both": {"z": 0, "x": 1, "y": 2}}
    assert [(each["type"], each["content"]) for each in talk] == [("human", "hi"), ("ai", "ho")]


async def test_thread_keeps_messages_and_channels_with_keep_alone() -> None:
    agent = agent_of_yaml(
        """
input: {word: string}
state:
  seen: {type: integer, reduce: add, default: 0, keep: true}
  first: {type: string, keep: true}
  listed: {type: list, reduce: append}
  talk: messages
nodes:
  old: {type: set, values: {before: "{{ [first, listed | length, gone] }}"}}
  new:
    type: set
    values: {seen: 1, listed: "{{ word }}", gone: x, talk: {role: user, content: "{{ word }}"},
             first: "{{ first or word }}"}
output: [seen, listed, before, talk]
"""
    )
    graph = agent.compile(InMemorySaver())
    for number, word in enumerate(["one", "two", "three"], 1):
        transcript = await run(agent, {"word": word}, context(), graph=graph)
        assert transcript.output["seen"] == number
        assert transcript.output["listed"] == [word]
        assert transcript.output["before"] == [None if number == 1 else "one", 0, None]
        assert len(transcript.output["talk"]) == number


async def test_write_of_a_wrong_type_fails_the_step() -> None:
    agent = agent_of_yaml(
        "state: {a: integer}\nnodes: {x: {type: set, values: {a: words}}}\noutput: [a]\n"
    )
    with pytest.raises(Invalid, match="would write a str to channel 'a', which holds integer"):
        await run(agent, {}, context())


async def test_on_error_message_rewords_the_failure() -> None:
    policy = 'on_error: {codes: [down], then: fail, message: "{{ query }} is {{ error.code }}."}'
    used = context(indexes=indexes(Unavailable("It is off.", code="down", permanent=True)))
    with pytest.raises(Unavailable) as caught:
        await run(searching(policy), {}, used)
    assert caught.value.message == "start is down."
    assert (caught.value.code, caught.value.details["node"]) == ("down", "look")
    with pytest.raises(NotFound, match="gone"):
        await run(searching(policy), {}, context(indexes=indexes(NotFound("gone"))))


def test_on_error_message_without_fail_is_refused() -> None:
    with pytest.raises(Invalid, match="`message` belongs to `then: fail`"):
        searching("on_error: {then: continue, message: No.}")
    with pytest.raises(Invalid, match="there is no channel 'qery'"):
        searching('on_error: {then: fail, message: "{{ qery }}"}')


# The log


async def test_steps_are_logged_with_run_id_and_node_at_debug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "graphs")

    await run(searching("when: 'false'"), {}, context(run_id="r1"))

    assert "run r1: look begins" in caplog.messages
    assert "run r1: look is passed over" in caplog.messages


async def test_failures_are_logged_with_run_id_node_attempt_and_code(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "graphs")
    found = indexes(Unavailable("secret", code="down"), Unavailable("secret", code="down"))
    policy = "retry: {attempts: 2, backoff_s: 0}, on_error: continue"

    await run(searching(policy), {}, context(indexes=found, run_id="r1"))

    assert caplog.messages == [
        "run r1: look failed (attempt 1), again: down",
        "run r1: look failed (attempt 2), continue: down",
    ]


async def test_run_without_failures_logs_nothing_at_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "graphs")

    await run(searching("cache: 60"), {}, context(indexes=indexes(), cache=InMemoryCache()))

    assert caplog.messages == []
