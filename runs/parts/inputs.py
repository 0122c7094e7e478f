"""The values of a checkpoint by their names, those of an input one by one.

LangGraph keeps an input whole in a channel of its own until its values are written to theirs: a
graph in a graph is given what the one around it holds, and holds it then under the same names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from langgraph.constants import START

_PREFIX = f"{START}."


def spread(channels: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the values of channels by their names; an input's are named after it."""
    for channel, value in channels.items():
        if channel == START and type(value) is dict and set(map(type, value)) <= {str}:
            for name, each in value.items():
                yield _PREFIX + name, each
        else:
            yield channel, value


def without(channels: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the channels without the values of these names; an input keeps its order."""
    rest = {channel: value for channel, value in channels.items() if channel not in names}
    if any(name.startswith(_PREFIX) for name in names):
        rest[START] = {
            name: None if _PREFIX + name in names else value for name, value in rest[START].items()
        }
    return rest


def put_back(channels: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Put values, by their names, into channels."""
    for name, value in values.items():
        if name.startswith(_PREFIX):
            channels[START][name.removeprefix(_PREFIX)] = value
        else:
            channels[name] = value


def likely_name(name: str) -> str:
    """Return under which other name a value was most likely held before: as input, or channel."""
    return name.removeprefix(_PREFIX) if name.startswith(_PREFIX) else _PREFIX + name
