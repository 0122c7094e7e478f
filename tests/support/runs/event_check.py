"""Holds the events of runs against their declarations, type by type and field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, get_type_hints

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from runs import run_log
from runs.event_types import EVENT_TYPES
from runs.event_types.base import ENVELOPE, FIELDS_OF_SCOPE, EventData
from runs.event_types.of_nodes import Custom
from runs.events import RunEvent, is_without_output


def problems_of(event: Mapping[str, Any]) -> list[str]:
    """List what an event, as a client reads it, has that its type does not declare, or lacks."""
    type_ = event.get("type")
    if type_ not in EVENT_TYPES:
        return [f"{type_} is no declared type"]
    declared = EVENT_TYPES[type_]
    problems = [f"{type_} lacks {name}" for name in ENVELOPE if name not in event]
    own = {name for name in event if name not in ENVELOPE}
    allowed = set(FIELDS_OF_SCOPE[declared.scope])
    problems += [f"{type_} has the undeclared field {name}" for name in own - allowed]
    if declared.scope == "step or run" and not own & {"node", "step", "attempt"}:
        allowed = {"data"}
    problems += [f"{type_} lacks {name}" for name in allowed - own - {"data"}]
    return problems + _problems_of_data(declared, event.get("data", {}))


def _problems_of_data(declared: type[EventData], data: Any) -> list[str]:
    if declared is Custom:
        return []
    try:
        _model(declared).model_validate(data)
    except ValidationError as error:
        return [
            f"{declared.type}.data.{'.'.join(map(str, each['loc']))}: {each['msg']}"
            for each in error.errors()
        ]
    return []


@cache
def _model(declared: type[EventData]) -> type[BaseModel]:
    hints = get_type_hints(declared)
    columns: dict[str, Any] = {
        each.name: (hints[each.name], ... if each.default is MISSING else each.default)
        for each in fields(declared)
    }
    strict = ConfigDict(extra="forbid", strict=True, protected_namespaces=())
    return create_model(declared.__name__, __config__=strict, **columns)


@contextmanager
def checked_events() -> Iterator[list[str]]:
    """Check every event that a run's log numbers; the list gathers what is wrong with them."""
    problems: list[str] = []
    encode = run_log.encode_event

    def encode_checked(*args: Any, **kwargs: Any) -> RunEvent:
        event = encode(*args, **kwargs)
        # Without the output that its readers get, the end of a run is not whole yet.
        if not is_without_output(event):
            problems.extend(problems_of(orjson.loads(event.json)))
        return event

    run_log.encode_event = encode_checked
    try:
        yield problems
    finally:
        run_log.encode_event = encode
