"""The filters that templates have beside Jinja's own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context

from graphs.grounding.followup import rewrite_followup as standalone_
from graphs.scenes import chapters, scenes, spoken
from graphs.templates.sandbox import RENDER, Render, plain
from models.text.sentences import find_sentence_ends

FENCED = re.compile(r"^(```|~~~).*?^\1\s*?$", re.DOTALL | re.MULTILINE)
NO_PROSE = re.compile(r"^\s*(#|\||!\[|<|={3,}|-{3,}|\[[^\]]*\]:)")
BULLET = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
RANK_OFFSET = 60
"""The usual constant of reciprocal rank fusion."""


@pass_context
def cite(context: Context, passages: Any) -> str:
    """Passages as numbered text, `[1] Title > Heading: text`, for a model to cite from."""
    render: Render = context[RENDER]
    begin = sum(len(cited) for _, cited in render.cited)
    found = [dict(passage) for passage in plain(passages or [])]
    block = "\n\n".join(numbered(n, passage) for n, passage in enumerate(found, begin + 1))
    render.cited.append((block, found))
    return block


def numbered(number: int, passage: Mapping[str, Any]) -> str:
    """One passage as the `cite` filter writes it."""
    title = passage.get("title") or passage.get("document") or ""
    heading = [part for part in passage.get("heading") or [] if part != title]
    place = " > ".join(str(part) for part in [title, *heading] if part)
    return f"[{number}] {place}: {passage.get('text', '')}" if place else f"[{number}] {passage}"


def as_json(value: Any, indent: int | None = None) -> str:
    """The value as JSON text."""
    return json.dumps(
        plain(value), ensure_ascii=False, default=str, indent=min(indent, 8) if indent else None
    )


def truncate(text: Any, length: int = 1000, end: str = "…") -> str:
    """At most `length` characters, cut at a word, `end` in place of what was cut."""
    whole = str(text)
    if len(whole) <= length:
        return whole
    room = max(length - len(end), 0)
    cut = whole[:room]
    if " " in cut and not whole[room].isspace():
        cut = cut[: cut.rindex(" ")]
    return cut.rstrip() + end


def sentences(text: Any, count: int = 3) -> str:
    """The first `count` sentences of running text: no headings, tables, code or pictures."""
    lines = FENCED.sub("", str(text)).splitlines()
    running = [BULLET.sub("", line) for line in lines if not NO_PROSE.match(line)]
    prose = " ".join(" ".join(running).split())
    ends = [0, *islice(find_sentence_ends(prose), max(count, 0))]
    return prose[: ends[-1]] if len(ends) > count else prose


def fuse(lists: Any, key: str = "id") -> list[Any]:
    """Ranked lists as one: what stands high in many of them comes first, each `key` once."""
    scores: dict[str, float] = {}
    items: dict[str, Any] = {}
    for ranked in plain(lists or []):
        for rank, item in enumerate(ranked or []):
            identity = as_json(item.get(key) if isinstance(item, Mapping) else item)
            items.setdefault(identity, item)
            scores[identity] = scores.get(identity, 0.0) + 1 / (RANK_OFFSET + rank)
    return [items[name] for name in sorted(scores, key=lambda name: -scores[name])]


def pick(values: Any, numbers: Any) -> list[Any]:
    """The items with these numbers, from 1, in the list's order."""
    wanted = set(plain(numbers or []))
    return [value for number, value in enumerate(plain(values or []), 1) if number in wanted]


def unique_by(values: Any, key: str) -> list[Any]:
    """The list without the items whose `key` was there before."""
    seen: dict[str, Any] = {}
    for value in plain(values or []):
        seen.setdefault(as_json(value.get(key) if isinstance(value, Mapping) else value), value)
    return list(seen.values())


def flatten(values: Any) -> list[Any]:
    """A list of lists as one list."""
    found: list[Any] = []
    for value in plain(values or []):
        if isinstance(value, list):
            found += value
        elif value is not None:
            found.append(value)
    return found


def recent(messages: Any, count: int = 40) -> list[Any]:
    """The last `count` messages of a conversation, from one that a person wrote."""
    last: list[Any] = plain(messages or [])[-count:]
    kinds = [getattr(item, "type", None) for item in last]
    return last[kinds.index("human") :] if "human" in kinds else last


def rewrite_followup(question: Any, history: Any) -> str:
    """A follow-up question with what it leans on, out of earlier turns (`question`, `query`) or a
    conversation's messages."""
    turns = []
    for turn in plain(history or []):
        if isinstance(turn, Mapping):
            turns.append(turn)
        elif getattr(turn, "type", None) == "human":
            turns.append({"question": str(turn.text)})
    return standalone_(str(question), turns)


OWN_FILTERS: Mapping[str, Callable[..., Any]] = {
    "chapters": chapters,
    "cite": cite,
    "flatten": flatten,
    "fuse": fuse,
    "json": as_json,
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
