"""Which of two answers a client takes: one as JSON, or events."""

from __future__ import annotations

from typing import NamedTuple

JSON_TYPE = "application/json"
SSE_TYPE = "text/event-stream"


class Preference(NamedTuple):
    """How much a client likes a media type: its weight, then how exactly it names the type."""

    weight: float
    exactness: int


LEFT_OUT = Preference(0, 0)
LEAST_WEIGHT = 0.001
NAMED = 3
"""The exactness of a whole name."""


def preference(accept: str, media_type: str) -> Preference:
    """Read from `Accept` how much a client likes a media type; of its ranges the most exact counts.

    A weight that cannot be read counts as 1, as if it were left out.
    """
    ranges = ["*/*", f"{media_type.partition('/')[0]}/*", media_type]
    best = LEFT_OUT
    for part in accept.lower().split(","):
        name, *parameters = (each.strip() for each in part.split(";"))
        if name in ranges and (exactness := ranges.index(name) + 1) >= best.exactness:
            best = Preference(_weight(parameters), exactness)
    return best


def prefers_json(accept: str) -> bool:
    """Tell whether a client wants one answer as JSON where events are the rule."""
    json, events = preference(accept, JSON_TYPE), preference(accept, SSE_TYPE)
    if _is_refused(events):
        return not _is_refused(json)
    return json.weight > 0 and json > events


def prefers_events(accept: str) -> bool:
    """Tell whether a client wants events where one answer as JSON is the rule: it names them."""
    json, events = preference(accept, JSON_TYPE), preference(accept, SSE_TYPE)
    if _is_refused(json):
        return not _is_refused(events)
    return events.exactness == NAMED and events.weight >= max(json.weight, LEAST_WEIGHT)


def _is_refused(named: Preference) -> bool:
    """Tell whether a type is refused by its name, and not only left out."""
    return named == Preference(0, NAMED)


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 1
            return weight if 0 <= weight <= 1 else 1
    return 1
