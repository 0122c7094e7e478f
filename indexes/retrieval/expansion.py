"""Expands a passage to what stands around it: its neighbours, its section.

Functions for `Store` to run: they block on SQLite. An expanded text is cut out of its document, so
that a span stays exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Literal

from config.errors import NotFound
from indexes.records import Passage, PassageContext, PassageHit
from indexes.storage import lookup
from indexes.storage.database import IndexDatabase

Expand = Literal["none", "neighbours", "section"]

SECTION_PASSAGES = 8
"""A section reaches this far to either side of what was found,"""
SECTION_CHARS = 12_000
"""and is no longer than this, unless the passage itself is."""


@dataclass(frozen=True, slots=True)
class _ExpandedHit:
    """A hit with the span it was expanded to."""

    hit: Passage
    start: int
    end: int

    def overlaps(self, other: _ExpandedHit) -> bool:
        same = (self.hit.index, self.hit.document) == (other.hit.index, other.hit.document)
        return same and self.start < other.end and other.start < self.end


def locate_passage(database: IndexDatabase, id: str, name: str, passage: str) -> PassageContext:
    """Return a passage, by its id, with its neighbours and its section.

    Raises `NotFound` (`passage_not_found`).
    """
    document, _, number = passage.rpartition(".")
    at = int(number) if number.isdecimal() and len(number) < 10 else -1
    rows = lookup.get_passages_between(database, id, name, document, at - 1, at + 1)
    by_ordinal = {row.ordinal: row for row in rows}
    if at not in by_ordinal:
        raise NotFound(
            f"The index '{name}' has no passage '{passage[:80]}'.",
            code="passage_not_found",
            details={"field": "passage", "index": name},
        )
    (section,) = expand_passages(database, {name: id}, [by_ordinal[at]], "section", 1)
    before, after = (by_ordinal[n].passage if n in by_ordinal else None for n in (at - 1, at + 1))
    return PassageContext(by_ordinal[at].passage, before, after, section)


def expand_passages(
    database: IndexDatabase,
    ids: Mapping[str, str],
    hits: Sequence[PassageHit],
    how: Expand,
    limit: int,
) -> list[Passage]:
    """Return the first `limit` hits with what stands around them.

    Those that then overlap become one, in the position of the best of them. `ids` are those of the
    indexes, by name.
    """
    groups: list[_ExpandedHit] = []
    for hit in hits:
        if len(groups) == limit:
            break
        groups = _merge_overlapping(groups, _expand(database, ids[hit.passage.index], hit, how))
    return _cut_texts(database, ids, groups)


def _expand(database: IndexDatabase, id: str, hit: PassageHit, how: Expand) -> _ExpandedHit:
    passage = hit.passage
    reach = SECTION_PASSAGES if how == "section" else 1
    first, last = hit.ordinal - reach, hit.ordinal + reach
    rows = lookup.get_passages_between(database, id, passage.index, passage.document, first, last)
    here = next((at for at, row in enumerate(rows) if row.ordinal == hit.ordinal), None)
    if here is None or rows[here].passage.hash != passage.hash:
        # The document has changed since: only the hit is known of what it was.
        return _ExpandedHit(passage, passage.start, passage.end)
    covered = _section_around(rows, here) if how == "section" else rows
    return _ExpandedHit(passage, covered[0].passage.start, covered[-1].passage.end)


def _section_around(rows: Sequence[PassageHit], here: int) -> Sequence[PassageHit]:
    """Return the passages around one that have its headings, as many as a section may hold."""
    heading = rows[here].passage.heading
    before = list(takewhile(lambda row: row.passage.heading == heading, reversed(rows[:here])))
    after = list(takewhile(lambda row: row.passage.heading == heading, rows[here + 1 :]))
    first, last = here - len(before), here + len(after)
    while first < last and rows[last].passage.end - rows[first].passage.start > SECTION_CHARS:
        # From the side that is farther away.
        if here - first > last - here:
            first += 1
        else:
            last -= 1
    return rows[first : last + 1]


def _merge_overlapping(groups: list[_ExpandedHit], new: _ExpandedHit) -> list[_ExpandedHit]:
    touching = [each for each in groups if each.overlaps(new)]
    if not touching:
        return [*groups, new]
    start = min(each.start for each in (*touching, new))
    end = max(each.end for each in (*touching, new))
    best = replace(touching[0], start=start, end=end)
    merged = [best if each is touching[0] else each for each in groups]
    return [each for each in merged if each not in touching[1:]]


def _cut_texts(
    database: IndexDatabase, ids: Mapping[str, str], groups: Sequence[_ExpandedHit]
) -> list[Passage]:
    texts: dict[tuple[str, str], str] = {}
    for name, id in ids.items():
        documents = {each.hit.document for each in groups if each.hit.index == name}
        document_texts = lookup.get_texts(database, id, documents)
        texts |= {(name, document): text for document, text in document_texts.items()}
    return [
        _expanded_passage(each, texts.get((each.hit.index, each.hit.document), ""))
        for each in groups
    ]


def _expanded_passage(group: _ExpandedHit, text: str) -> Passage:
    hit, match = group.hit, (group.hit.start, group.hit.end)
    if (group.start, group.end) == match:
        return replace(hit, match=match)
    text = text[group.start : group.end]
    return replace(hit, text=text, start=group.start, end=group.end, match=match)
