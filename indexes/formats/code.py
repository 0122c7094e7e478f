"""Source code and settings: the file as it is, under a heading for each definition.

A definition begins with the comments and decorators above it. Files without a grammar are cut
where, after an empty line, one begins that is not indented.
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

from indexes.formats.definitions import Definition, definitions
from indexes.reading.documents import Block, ParsedText, SourceFile, unreadable_document

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
FEW_CHARS, MOST_LINE_CHARS = 20_000, 400
"""Code with more characters, and on average longer lines, was packed by a machine."""
PARSING_S = 5.0
READ_BYTES = 65_536
LINE = re.compile(r"[^\n]*\n|[^\n]+\Z")
WORD = re.compile(r"\w")
CLOSING = {"end", "fi", "done", "esac"}


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    text: str
    owner: int | None
    """The innermost definition that it belongs to, by number."""


def read_code(source: SourceFile) -> ParsedText:
    """The text itself; what belongs to a definition is headed by its name, `Session.close`."""
    text = source.guessed_text()
    suffix = PurePosixPath(source.filename).suffix.lower()
    mean = len(text) // (text.count("\n") + 1)
    if suffix in GRAMMARS and len(text) > FEW_CHARS and mean > MOST_LINE_CHARS:
        why = f"it was not written by a person: its lines have {mean:,} characters on average"
        raise unreadable_document(source.filename, why)
    found = _definitions(text, suffix)
    return ParsedText(text, list(_blocks(_lines(text, found), found)))


def _definitions(text: str, suffix: str) -> Sequence[Definition]:
    """In order, outer ones before those within; none where there is no grammar."""
    grammar = GRAMMARS.get(suffix)
    data = text.encode()
    if grammar is None or len(data) > MAX_PARSED_BYTES:
        return ()
    module, function = grammar.split(":")
    language = Language(getattr(import_module(module), function)())
    tree = _tree(Parser(language), data)
    return list(definitions(tree.root_node, data.split(b"\n"))) if tree else ()


def _tree(parser: Parser, data: bytes) -> Tree | None:
    """None where it takes too long: a grammar that sees many meanings takes the square."""
    deadline = time.monotonic() + PARSING_S
    try:
        return parser.parse(
            lambda offset, _: data[offset : offset + READ_BYTES],
            progress_callback=lambda _, __: time.monotonic() > deadline,
        )
    except ValueError:
        return None


def _lines(text: str, found: Sequence[Definition]) -> list[_Line]:
    pieces = [match.group() for match in LINE.finditer(text)]
    owners: list[int | None] = [None] * len(pieces)
    for number, each in enumerate(found):
        last = min(each.last_row + 1, len(owners))
        owners[each.first_row : last] = [number] * (last - each.first_row)
    lines = []
    start = 0
    for piece, owner in zip(pieces, owners, strict=True):
        lines.append(_Line(start, piece, owner))
        start += len(piece)
    return lines


def _blocks(lines: Sequence[_Line], found: Sequence[Definition]) -> Iterator[Block]:
    """Each stretch of lines that belong to one definition: a heading, then its paragraphs."""
    above: int | None = None
    for owner, stretch in _stretches(lines):
        stretch = list(dropwhile(lambda line: not line.text.strip(), stretch))
        if not stretch:
            continue
        first, *rest = stretch
        if owner != above:
            title, level = (found[owner].name, found[owner].level) if owner is not None else ("", 1)
            yield Block("heading", first.start, _end(first), level, title)
            above = owner
        else:
            rest = stretch
        yield from _paragraphs(rest)


def _stretches(lines: Sequence[_Line]) -> Iterator[tuple[int | None, list[_Line]]]:
    """Lines by owner; a brace or an `end` that is left alone stays with what it closes."""
    held: tuple[int | None, list[_Line]] | None = None
    for owner, group in groupby(lines, key=lambda line: line.owner):
        stretch = list(group)
        if held and not any(_speaks(line.text) for line in stretch):
            held[1].extend(stretch)
            continue
        if held:
            yield held
        held = (owner, stretch)
    if held:
        yield held


def _speaks(line: str) -> bool:
    return bool(WORD.search(line)) and line.strip(" \t\r\n;") not in CLOSING


def _paragraphs(lines: Sequence[_Line]) -> Iterator[Block]:
    """Cut at empty lines before lines that are indented least."""
    filled = [line for line in lines if line.text.strip()]
    if not filled:
        return
    least = min(_indent(line.text) for line in filled)
    start, end = filled[0].start, _end(filled[0])
    for line in filled[1:]:
        if line.start > end + 1 and _indent(line.text) <= least:
            yield Block("code", start, end)
            start = line.start
        end = _end(line)
    yield Block("code", start, end)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _end(line: _Line) -> int:
    return line.start + len(line.text.rstrip())
