"""The filters that templates have beside Jinja's own.

Owns the literal map of filters; `docs/agents.md` lists them. A filter is a pure function of values.
Only `cite` and `foreign` leave a trace, in the step's rendering.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context

from config.steps import spend
from graphs.grounding.claims import is_refusal
from graphs.templates import followup
from graphs.templates.markdown import drop_fenced_code
from graphs.templates.plain import check_size, plain, write_json, write_value
from graphs.templates.rendering import RENDERING, Rendering
from graphs.templates.scenes import chapters, scenes, spoken
from graphs.templates.values import get, read_json, write_date, write_number
from graphs.templates.work import count_prose
from models.text.sentences import find_sentence_ends
from models.text.tokens import estimate_message
from models.text.turns import choose_first

NO_PROSE = re.compile(r"^\s*(#|\||!\[|<|={3,}|-{3,}|\[[^\]]*\]:)")
BULLET = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
LINE_STEPS = 30
INDENTED_STEPS = 30
RANK_OFFSET = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009)."""


@pass_context
def cite(context: Context, passages: Any) -> str:
    """Write passages as numbered text, `[1] Title > Heading: text`, for a model to cite from.

    Numbers go on over all `cite`s of a step; the step remembers what each number stands for.
    """
    rendering: Rendering = context[RENDERING]
    cited = [dict(passage) for passage in plain(passages or [])]
    block = "\n\n".join(
        number_passage(n, passage) for n, passage in enumerate(cited, rendering.next_number)
    )
    rendering.cited.append((block, cited))
    return block


@pass_context
def note_foreign(context: Context, value: Any) -> str:
    """Write a value as text that others wrote: a prompt puts it between marks, as data."""
    rendering: Rendering = context[RENDERING]
    text = str(write_value(plain(value)))
    rendering.foreign.append(text)
    return text


def number_passage(number: int, passage: Mapping[str, Any]) -> str:
    """Write one passage as the `cite` filter does."""
    title = passage.get("title") or passage.get("document") or ""
    heading = [part for part in passage.get("heading") or [] if part != title]
    path = " > ".join(str(part) for part in [title, *heading] if part)
    return f"[{number}] {path}: {passage.get('text', '')}" if path else f"[{number}] {passage}"


def as_json(value: Any, indent: int | None = None) -> str:
    """Write a value as JSON text."""
    whole, indent = plain(value), min(indent, 8) if indent else None
    if indent:
        _check_indented(whole, indent)
    return write_json(whole, indent)


def _check_indented(value: Any, indent: int) -> None:
    """Refuse a value that is too large when each line of it is indented."""
    size, pending = 0, [(value, 1)]
    while pending:
        item, depth = pending.pop()
        if isinstance(item, list | tuple | dict):
            size += len(item) * depth * indent
            check_size(size)
            spend(len(item) * INDENTED_STEPS)
            items = item.values() if isinstance(item, dict) else item
            pending += [(each, depth + 1) for each in items]


def truncate(text: Any, length: int = 1000, end: str = "…") -> str:
    """Cut a text at a word, to at most `length` characters, `end` among them."""
    whole = str(text)
    if len(whole) <= length:
        return whole
    room = max(length - len(end), 0)
    cut = whole[:room]
    if " " in cut and not whole[room].isspace():
        cut = cut[: cut.rindex(" ")]
    return cut.rstrip() + end


def sentences(text: Any, count: int = 3) -> str:
    """Take the first `count` sentences of running text: no headings, tables, code or pictures."""
    lines = drop_fenced_code(str(text)).splitlines()
    spend(len(lines) * LINE_STEPS)
    running = [BULLET.sub("", line) for line in lines if not NO_PROSE.match(line)]
    prose = " ".join(" ".join(running).split())
    count_prose(prose)
    ends = [0, *islice(find_sentence_ends(prose), max(count, 0))]
    return prose[: ends[-1]] if len(ends) > count else prose


def fuse(lists: Any, key: str = "id") -> list[Any]:
    """Merge ranked lists: what stands high in many of them comes first, each `key` once."""
    scores: dict[str, float] = {}
    items: dict[str, Any] = {}
    for ranked in plain(lists or []):
        for rank, item in enumerate(ranked or []):
            identity = as_json(item.get(key) if isinstance(item, Mapping) else item)
            items.setdefault(identity, item)
            scores[identity] = scores.get(identity, 0.0) + 1 / (RANK_OFFSET + rank)
    return [items[name] for name in sorted(scores, key=lambda name: -scores[name])]


def pick(values: Any, numbers: Any) -> list[Any]:
    """Pick the items with these numbers, from 1, in the list's order; others are passed over."""
    whole = [each for each in plain(numbers or []) if isinstance(each, int)]
    chosen = {each for each in whole if not isinstance(each, bool)}
    return [value for number, value in enumerate(plain(values or []), 1) if number in chosen]


def unique_by(values: Any, key: str) -> list[Any]:
    """Drop the items whose `key` was there before."""
    unique: dict[str, Any] = {}
    for value in plain(values or []):
        unique.setdefault(as_json(value.get(key) if isinstance(value, Mapping) else value), value)
    return list(unique.values())


def flatten(values: Any) -> list[Any]:
    """Join a list of lists, and of single items, into one list; nulls are dropped."""
    items: list[Any] = []
    for value in plain(values or []):
        if isinstance(value, list):
            items += value
        elif value is not None:
            items.append(value)
    return items


def recent(messages: Any, count: int = 40, unit: str = "messages") -> list[Any]:
    """Take the end of a conversation, from a message that a person wrote.

    Of `count` messages at most, or with the unit "tokens" of so many tokens by our estimate; what
    stands behind the last message of a person is taken with it, however long that is.
    """
    if unit not in ("messages", "tokens"):
        raise ValueError("the unit of `recent` is 'messages' or 'tokens'")
    items: list[Any] = plain(messages or [])
    kinds = [getattr(item, "type", None) for item in items]
    if unit == "tokens":
        first = choose_first(map(estimate_message, reversed(items)), len(items), count)
    else:
        first = max(0, len(items) - count)
    if "human" in kinds[first:]:
        return items[kinds.index("human", first) :]
    if "human" in kinds and unit == "tokens":
        first = len(kinds) - 1 - kinds[::-1].index("human")
    return items[first:]


def rewrite_followup(question: Any, history: Any, written: Any = "") -> str:
    """Rewrite a follow-up question so that it stands by itself, or take what a model has `written`.

    `history` are earlier turns (`question`, `query`, `refused`) or a conversation's messages.
    """
    turns: list[Mapping[str, Any]] = []
    for turn in plain(history or []):
        kind = getattr(turn, "type", None)
        if isinstance(turn, Mapping):
            turns.append(turn)
        elif kind == "human":
            turns.append({"question": str(turn.text)})
        elif kind == "ai" and turns and is_refusal(str(turn.text)):
            turns[-1] = {**turns[-1], "refused": True}
    return followup.rewrite_followup(str(question), turns, str(written or ""))


OWN_FILTERS: Mapping[str, Callable[..., Any]] = {
    "chapters": chapters,
    "cite": cite,
    "date": write_date,
    "flatten": flatten,
    "foreign": note_foreign,
    "from_json": read_json,
    "fuse": fuse,
    "get": get,
    "json": as_json,
    "number": write_number,
    "pick": pick,
    "recent": recent,
    "scenes": scenes,
    "sentences": sentences,
    "spoken": spoken,
    "standalone": rewrite_followup,
    "tojson": as_json,
    "truncate": truncate,
    "unique_by": unique_by,
}
