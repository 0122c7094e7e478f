"""From a LangGraph stream to events: attempts, paths, what is told again and what is not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage

from runs.events import Batch, encode_event
from runs.stored_events import StepRecord, find_steps
from runs.stream_translator import EventDraft, StreamTranslator


def begin(step: str, name: str, namespace: tuple[str, ...] = ()) -> Any:
    return namespace, "tasks", {"id": step, "name": name, "input": {}, "triggers": ()}


def end(step: str, name: str, result: Any = None, **more: Any) -> Any:
    data = {"id": step, "name": name, "result": result or {}, "error": None, "interrupts": []}
    return (), "tasks", {**data, **more}


def told(steps: StreamTranslator, *parts: Any) -> list[EventDraft]:
    return [event for part in parts for event in steps.translate(part)]


def stored(*events: EventDraft) -> list[StepRecord]:
    batch = Batch([encode_event("run", n, each.type, each.fields) for n, each in enumerate(events)])
    return find_steps([batch.stored()])[0]


def test_a_step_begins_and_ends_with_its_update() -> None:
    events = told(StreamTranslator(), begin("1", "a"), end("1", "a", {"x": 1}))
    assert [event.type for event in events] == ["step.started", "step.finished"]
    assert events[1].fields == {
        "node": "a",
        "step": "1",
        "attempt": 1,
        "data": {"update": {"x": 1}},
    }


def test_a_step_cut_off_begins_again_under_the_next_attempt() -> None:
    before = told(StreamTranslator(), begin("1", "a"))
    after = told(StreamTranslator(stored(*before)), begin("1", "a"))
    assert [event.fields["attempt"] for event in before + after] == [1, 2]


def test_a_step_that_had_ended_is_not_told_again() -> None:
    before = told(StreamTranslator(), begin("1", "a"), end("1", "a"))
    assert told(StreamTranslator(stored(*before), done=["1"]), begin("1", "a")) == []


def test_a_step_whose_end_was_stored_but_not_told_is_told_as_ended() -> None:
    before = told(StreamTranslator(), begin("1", "a"))
    after = told(StreamTranslator(stored(*before), done=["1"]), begin("1", "a"))
    assert [(event.type, event.fields["attempt"]) for event in after] == [("step.finished", 1)]


def test_a_retry_in_the_same_process_is_an_attempt_too() -> None:
    again = ((), "custom", {"motet": "attempt", "node": "a", "step": "1", "number": 2})
    events = told(StreamTranslator(), begin("1", "a"), again)
    assert [(event.type, event.fields["attempt"]) for event in events] == [
        ("step.started", 1),
        ("step.started", 2),
    ]


def test_nested_nodes_have_a_path() -> None:
    events = told(StreamTranslator(), begin("1", "outer"), begin("2", "inner", ("outer:1",)))
    assert events[1].fields["node"] == "outer/inner"


def test_a_piece_of_a_nodes_work_has_a_path_below_it() -> None:
    piece = begin("2", "each/item")
    events = told(
        StreamTranslator(), begin("1", "each"), piece, begin("3", "say", ("each:1", "each/item:2"))
    )
    assert [event.fields["node"] for event in events] == ["each", "each/item", "each/item/say"]


def test_a_subgraph_that_is_tried_again_has_the_path_it_had() -> None:
    events = told(StreamTranslator(), begin("1", "outer"), begin("2", "inner", ("outer:1", "1")))
    assert events[1].fields["node"] == "outer/inner"


def test_a_piece_of_work_ends_with_its_result() -> None:
    events = told(
        StreamTranslator(), begin("1", "each/item"), end("1", "each/item", {"__return__": 42})
    )
    assert events[-1].fields["data"] == {"result": 42}


def test_a_step_that_was_cut_off_has_not_failed() -> None:
    cut = end("1", "a", error=asyncio.CancelledError())
    assert [event.type for event in told(StreamTranslator(), begin("1", "a"), cut)] == [
        "step.started"
    ]


def test_tokens_belong_to_their_step() -> None:
    chunk = AIMessageChunk("Hello", id="m")
    place = {"langgraph_checkpoint_ns": "outer:1|inner:2"}
    events = told(StreamTranslator(), ((), "messages", (chunk, place)))
    assert events == [
        EventDraft(
            "token",
            {
                "node": "outer/inner",
                "step": "2",
                "attempt": 1,
                "data": {"text": "Hello", "message": "m"},
            },
        )
    ]


@pytest.mark.parametrize(
    "chunk",
    [
        AIMessageChunk("", id="m", additional_kwargs={"reasoning_content": "Hm."}),
        AIMessageChunk([{"type": "reasoning", "reasoning": "Hm."}], id="m"),
    ],
)
def test_thinking_of_a_python_graphs_model_is_no_token(chunk: AIMessageChunk) -> None:
    place = {"langgraph_checkpoint_ns": "inner:2"}

    (event,) = told(StreamTranslator(), ((), "messages", (chunk, place)))

    assert event.type == "thinking"
    assert event.fields["data"] == {"text": "Hm.", "message": "m"}


def test_messages_that_no_model_streams_are_no_tokens() -> None:
    parts = [
        ((), "messages", (message, {})) for message in (HumanMessage("Hi"), AIMessageChunk(""))
    ]
    assert told(StreamTranslator(), *parts) == []


def test_custom_events_of_a_python_graph_belong_to_the_only_step_at_work() -> None:
    word = ((), "custom", {"word": 1})
    alone = told(StreamTranslator(), begin("1", "a"), word)[-1]
    assert alone.fields == {"node": "a", "step": "1", "attempt": 1, "data": {"word": 1}}
    together = told(StreamTranslator(), begin("1", "a"), begin("2", "b"), word)[-1]
    assert together.fields == {"data": {"word": 1}}


def test_channels_that_steer_the_graph_are_not_shown() -> None:
    events = told(
        StreamTranslator(), begin("1", "a"), end("1", "a", {"x": 1, "_loops": {}, "_goto": {}})
    )
    assert events[-1].fields["data"] == {"update": {"x": 1}}


def test_questions_are_collected_with_their_node() -> None:
    steps = StreamTranslator()
    question = {"id": "q", "value": "ok?"}
    assert told(steps, begin("1", "ask"), end("1", "ask", interrupts=[question]))[1:] == []
    assert steps.interrupts == [{**question, "node": "ask", "step": "1"}]


def test_a_question_from_below_is_asked_once() -> None:
    steps = StreamTranslator()
    question = {"id": "q", "value": "ok?"}
    told(steps, begin("1", "sub"), end("1", "sub", interrupts=[question, question]))
    assert [each["id"] for each in steps.interrupts] == ["q"]


def test_a_failed_step_says_why() -> None:
    events = told(StreamTranslator(), begin("1", "a"), end("1", "a", error="ValueError('no')"))
    assert events[-1].type == "step.failed"
    assert events[-1].fields["data"] == {"message": "ValueError('no')"}
