"""Reads source code and settings: the file as it is, under a heading for each definition.

A definition begins with the comments and decorators above it. Files without a grammar are cut
where, after an empty line, one begins that is not indented. Invariant: blocks are spans of the
text; nothing is added or taken away.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import dropwhile, groupby
from pathlib import PurePosixPath

from tree_sitter import Language, Parser, Tree

from indexes.formats.definitions import Definition, find_definitions
from indexes.reading.content import Block, ParsedText, unreadable_document
from indexes.reading.source import SourceFile

GRAMMARS = {
    **dict.fromkeys((".py", ".pyi"), "tree_sitter_python:language"),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), "tree_sitter_javascript:language"),
    **dict.fromkeys((".ts", ".mts", ".cts"), "tree_sitter_typescript:language_typescript"),
    ".tsx": "tree_sitter_typescript:language_tsx",
    ".go": "tree_sitter_go:language",
    ".rs": "tree_sitter_rust:language",
    ".java": "tree_sitter_java:language",
    ".c": "tree_sitter_c:language",
    **dict.fromkeys((".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp"), "tree_sitter_cpp:language"),
    ".cs": "tree_sitter_c_sharp:language",
    ".rb": "tree_sitter_ruby:language",
    ".php": "tree_sitter_php:language_php",
    ".swift": "tree_sitter_swift:language",
    **dict.fromkeys((".kt", ".kts"), "tree_sitter_kotlin:language"),
    ".scala": "tree_sitter_scala:language",
    **dict.fromkeys((".sh", ".bash"), "tree_sitter_bash:language"),
    ".lua": "tree_sitter_lua:language",
}
MAX_PARSED_BYTES = 2_000_000
"""Larger files are data, or made by a machine."""
PACKED_FROM_CHARS, MAX_MEAN_LINE_CHARS = 20_000, 400
"""Code with more characters, and on average longer lines, was packed by a machine."""
MAX_PARSE_S = 5.0
"""A grammar that sees many meanings takes the square of the time: then there are no headings."""
PARSER_CHUNK_BYTES = 65_536
"""The parser looks at the clock after each chunk."""
LINE = re.compile(r"[^\n]*\n|[^\n]+\Z")
WORD = re.compile(r"\w")
CLOSING_WORDS = {"end", "fi", "done", "esac"}
"""Lines of such a word alone close a definition, and stay with it."""


@dataclass(frozen=True, slots=True)
class _OwnedLine:
    start: int
    text: str
    owner: int | None
    """The innermost definition that it belongs to, by number."""


def read_code(source: SourceFile) -> ParsedText:
    """Return the text itself; what belongs to a definition is headed by its name.

    The name has those of the outer definitions before it: `Session.close`. Raises `Invalid`
    (`unreadable_document`) for code that was packed by a machine.
    """
    text = source.guess_text()
    suffix = PurePosixPath(source.filename).suffix.lower()
    mean = len(text) // (text.count("\n") + 1)
    if suffix in GRAMMARS and len(text) > PACKED_FROM_CHARS and mean > MAX_MEAN_LINE_CHARS:
        why = f"it was not written by a person: its lines have {mean:,} characters on average"
        raise unreadable_document(source.filename, why)
    definitions = _parse_definitions(text, suffix)
    return ParsedText(text, list(_build_blocks(_assign_owners(text, definitions), definitions)))


def _parse_definitions(text: str, suffix: str) -> Sequence[Definition]:
    """List the definitions, outer ones before those within; none where there is no grammar."""
    grammar = GRAMMARS.get(suffix)
    data = text.encode()
    if grammar is None or len(data) > MAX_PARSED_BYTES:
        return ()
    module, function = grammar.split(":")
    language = Language(getattr(import_module(module), function)())
    tree = _parse_in_time(Parser(language), data)
    return list(find_definitions(tree.root_node, data.split(b"\n"))) if tree else ()


def _parse_in_time(parser: Parser, data: bytes) -> Tree | None:
    """Parse code; None where that takes longer than `MAX_PARSE_S`."""
    deadline = time.monotonic() + MAX_PARSE_S
    try:
        return parser.parse(
            lambda offset, _: data[offset : offset + PARSER_CHUNK_BYTES],
            progress_callback=lambda _, __: time.monotonic() > deadline,
        )
    except ValueError:
        return None


def _assign_owners(text: str, definitions: Sequence[Definition]) -> list[_OwnedLine]:
    texts = [match.group() for match in LINE.finditer(text)]
    owners: list[int | None] = [None] * len(texts)
    for number, each in enumerate(definitions):
        last = min(each.last_row + 1, len(owners))
        owners[each.first_row : last] = [number] * (last - each.first_row)
    lines = []
    start = 0
    for line, owner in zip(texts, owners, strict=True):
        lines.append(_OwnedLine(start, line, owner))
        start += len(line)
    return lines


def _build_blocks(
    lines: Sequence[_OwnedLine], definitions: Sequence[Definition]
) -> Iterator[Block]:
    """Yield a heading and paragraphs for each stretch of lines that belong to one definition."""
    above: int | None = None
    for owner, stretch in _group_by_owner(lines):
        stretch = list(dropwhile(lambda line: not line.text.strip(), stretch))
        if not stretch:
            continue
        first, *rest = stretch
        if owner != above:
            title, level = (
                (definitions[owner].name, definitions[owner].level)
                if owner is not None
                else ("", 1)
            )
            yield Block("heading", first.start, _text_end(first), level, title)
            above = owner
        else:
            rest = stretch
        yield from _cut_paragraphs(rest)


def _group_by_owner(lines: Sequence[_OwnedLine]) -> Iterator[tuple[int | None, list[_OwnedLine]]]:
    """Group lines by owner; a brace or an `end` that is left alone stays with what it closes."""
    pending: tuple[int | None, list[_OwnedLine]] | None = None
    for owner, group in groupby(lines, key=lambda line: line.owner):
        stretch = list(group)
        if pending and not any(_has_words(line.text) for line in stretch):
            pending[1].extend(stretch)
            continue
        if pending:
            yield pending
        pending = (owner, stretch)
    if pending:
        yield pending


def _has_words(line: str) -> bool:
    return bool(WORD.search(line)) and line.strip(" \t\r\n;") not in CLOSING_WORDS


def _cut_paragraphs(lines: Sequence[_OwnedLine]) -> Iterator[Block]:
    """Cut lines at empty ones before lines that are indented least."""
    filled = [line for line in lines if line.text.strip()]
    if not filled:
        return
    least = min(_indent(line.text) for line in filled)
    start, end = filled[0].start, _text_end(filled[0])
    for line in filled[1:]:
        if line.start > end + 1 and _indent(line.text) <= least:
            yield Block("code", start, end)
            start = line.start
        end = _text_end(line)
    yield Block("code", start, end)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _text_end(line: _OwnedLine) -> int:
    return line.start + len(line.text.rstrip())
