"""The numbered entries of a run's log, encoded once for the disk and for every reader.

Owns the JSON of an event and how a batch of them is stored. Which types and fields there are is
declared in `event_types`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from config.json_values import MAX_BITS
from runs.record import timestamp

MAX_DEPTH = 200
"""Levels of a value that are shown; orjson follows some 250."""
END_TYPES = frozenset({"run.finished", "run.failed", "run.cancelled"})
"""The events that end a run for good; `run.waiting` ends only its present attempt."""
FINISHED = "run.finished"
_TYPE = b'{"type":"'
"""How an event's JSON begins."""
_NO_DATA = b'"data":{}}'
"""How that of an event without data ends."""


@dataclass(frozen=True, slots=True)
class RunEvent:
    """One entry: `stored` is its line of JSON on disk, `seq` counts from 1 in a run."""

    seq: int
    type: str
    stored: bytes

    @property
    def json(self) -> bytes:
        """The whole event as one line of JSON."""
        return self.stored

    def as_dict(self) -> dict[str, Any]:
        event: dict[str, Any] = orjson.loads(self.json)
        return event


@dataclass(frozen=True, slots=True)
class FinishedEvent(RunEvent):
    """The end of a run whose large output is stored with the run alone.

    `output` makes it for readers, when there are any.
    """

    output: Callable[[], Any]

    @property
    def json(self) -> bytes:
        return with_output(self.stored, dumps(self.output()))


@dataclass(slots=True)
class Batch:
    """Consecutive events that are stored by one write."""

    events: Sequence[RunEvent]
    wire: dict[str, bytes] = field(default_factory=dict)
    """The batch as bytes, by media type, once the first reader has made them: fifty readers cost
    one encoding."""

    @property
    def first(self) -> int:
        return self.events[0].seq

    @property
    def last(self) -> int:
        return self.events[-1].seq

    @property
    def size_bytes(self) -> int:
        """The length of what is stored."""
        return sum(len(event.stored) for event in self.events)

    def after(self, seq: int) -> Batch:
        """Return the part of the batch behind `seq`; itself where that is all."""
        if seq < self.first:
            return self
        return Batch([event for event in self.events if event.seq > seq])

    def stored(self) -> bytes:
        """Join the events' JSON by newlines, which JSON does not contain."""
        return b"\n".join([event.stored for event in self.events])


def load_events(first: int, stored: bytes, after: int, limit: int) -> Iterator[RunEvent]:
    """Yield those behind number `after`, at most `limit`, of a batch as `Batch.stored` wrote it.

    `first` is the number of the batch's first event.
    """
    start = max(0, after + 1 - first)
    lines = stored.split(b"\n", start + limit)[start : start + limit]
    for seq, line in enumerate(lines, first + start):
        yield RunEvent(seq, _read_type(line), line)


def _read_type(line: bytes) -> str:
    # `encode_event` writes it first. Reading all of each event took most of a reader's time.
    if line.startswith(_TYPE):
        return sys.intern(line[len(_TYPE) : line.index(b'"', len(_TYPE))].decode())
    return str(orjson.loads(line)["type"])


def encode_event(
    run_id: str, seq: int, type_: str, fields: dict[str, Any], at: float | None = None
) -> RunEvent:
    """Encode an event; `fields` are `node`, `step`, `attempt` and `data`, as its type has them.

    Runs for each token of each run: plain dicts, no checks. Raises `TypeError` for what has no
    JSON.
    """
    body = {
        "type": type_,
        "run_id": run_id,
        "seq": seq,
        "time": timestamp(at or time.time()),
        **fields,
    }
    return RunEvent(seq, type_, dumps(body))


def is_without_output(event: RunEvent) -> bool:
    """Return whether this is the end of a run that was stored without the run's output."""
    return event.type == FINISHED and event.stored.endswith(_NO_DATA)


def with_output(stored: bytes, output: bytes) -> bytes:
    """Complete the line of such an event by the JSON of the run's output."""
    return b'%s"output":%s}}' % (stored.removesuffix(b"}}"), output)


def dumps(value: Any) -> bytes:
    """Encode anything that may stand in a graph's state; what has no JSON becomes its text."""
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return orjson.dumps(make_readable(value))


def make_readable(value: Any, depth: int = 0) -> Any:
    """Turn what orjson refuses into JSON for people: large numbers and odd names as text, halves
    of characters replaced, what is nested too deeply cut off.
    """
    if depth > MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {
            _readable_text(str(key)): make_readable(item, depth + 1) for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [make_readable(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if value.bit_length() < MAX_BITS else _readable_text(str(value))
    return (
        _readable_text(value) if isinstance(value, str) else make_readable(_plain(value), depth + 1)
    )


def _readable_text(text: str) -> str:
    return text.encode(errors="replace").decode()


def _plain(value: Any) -> Any:
    """Convert what orjson does not know."""
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return str(value)
