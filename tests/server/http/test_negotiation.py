"""Which answer a client takes, as its `Accept` weighs them."""

from __future__ import annotations

import pytest

from server.http.negotiation import Preference, preference, prefers_events, prefers_json


@pytest.mark.parametrize(
    ("accept", "json", "events"),
    [
        ("*/*", False, False),
        ("", False, False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False, False),
        ("text/event-stream", False, True),
        ("application/json", True, False),
        ("Application/JSON; charset=utf-8", True, False),
        ("text/plain, application/json", True, False),
        ("application/json, text/plain, */*", True, False),
        ("application/*", True, False),
        ("application/json, text/event-stream", False, True),
        ("text/event-stream, application/json", False, True),
        ("text/event-stream;q=0.5, application/json", True, False),
        ("text/event-stream, application/json;q=0.5", False, True),
        ("application/json;q=0", False, True),
        ("application/json; q=0, */*", False, True),
        ("text/event-stream;q=0", True, False),
        ("text/event-stream;q=0, */*", True, False),
        ("text/event-stream;q=0, application/json;q=0", False, False),
        ("text/html", False, False),
        ("text/event-stream;q=0.0, application/json;q=0.1", True, False),
        ("*/*;q=0, text/event-stream", False, True),
        ("text/*;q=0.9, application/json;q=0.1", False, False),
        ("application/json;q=nonsense, text/event-stream;q=0.1", True, False),
        (",,;;q=,/", False, False),
    ],
)
def test_answer_is_the_one_that_weighs_more(accept: str, json: bool, events: bool) -> None:
    """`json` where events are the rule, `events` where JSON is."""
    assert (prefers_json(accept), prefers_events(accept)) == (json, events)


def test_more_exact_range_counts_whatever_stands_first() -> None:
    for accept in ("*/*;q=0.1, text/*;q=0.2, text/plain;q=0.3", "text/plain;q=0.3, */*;q=0.1"):
        assert preference(accept, "text/plain") == Preference(0.3, 3)
