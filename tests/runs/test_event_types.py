"""The declared events, their table in docs/runs.md, and the events that leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

import pytest

from runs.engine import RunEngine
from runs.event_page import PAGE, render_page
from runs.event_types import EVENT_TYPES, NODE_EVENT_TYPES
from runs.event_types.base import EventData
from runs.events import END_TYPES
from runs.record import RunRequest
from tests.support.runs.engines import ended
from tests.support.runs.event_check import problems_of
from tests.support.tenants import TENANT

EVENT = {
    "type": "token",
    "run_id": "r",
    "seq": 1,
    "time": "2026-01-01T00:00:00.000Z",
    "node": "say",
    "step": "s",
    "attempt": 1,
    "data": {"text": "word", "message": "m"},
}


def test_the_table_of_events_is_up_to_date() -> None:
    page = PAGE.read_text()

    assert page == render_page(page), "run `python -m runs.event_page`"


@pytest.mark.parametrize("event", EVENT_TYPES.values(), ids=EVENT_TYPES)
def test_every_field_says_what_it_means(event: type[EventData]) -> None:
    hints = get_type_hints(event, include_extras=True)

    assert event.meaning
    assert all(hints[each.name].__metadata__[0] for each in fields(event))


def test_the_types_that_end_a_run_are_declared() -> None:
    assert set(EVENT_TYPES) > END_TYPES
    assert not NODE_EVENT_TYPES & END_TYPES


def test_an_event_as_it_is_declared_has_no_problem() -> None:
    assert problems_of(EVENT) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"type": "tokens"}, "tokens is no declared type"),
        ({"tenant": "t"}, "token has the undeclared field tenant"),
        (
            {"data": {"text": "word", "length": 4}},
            "token.data.length: Extra inputs are not permitted",
        ),
        ({"data": {"text": 1}}, "token.data.text: Input should be a valid string"),
        ({"data": {}}, "token.data.text: Field required"),
    ],
)
def test_what_is_not_declared_is_found(change: Mapping[str, Any], problem: str) -> None:
    assert problems_of({**EVENT, **change}) == [problem]


async def test_events_of_a_run_are_checked_in_every_test(
    engine: RunEngine, event_problems: list[str]
) -> None:
    run = await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
    await ended(engine, run.run_id)
    assert event_problems == []

    event_problems.append("a problem")

    assert event_problems.pop() == "a problem"
