"""Passages and sizes of indexes in the terminal; and filters as they are typed there."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from rich.console import Console
from rich.text import Text

from config.errors import Invalid
from server.cli.console import listing, say, write_text

TYPED = {"=": "eq", "!=": "not", ">=": "gte", "<=": "lte", ">": "gt", "<": "lt", "~": "glob"}
FILTER = re.compile(r"([\w.-]+)\s*(!=|>=|<=|=|>|<|~)\s*+(?![=<>~])(.*)", re.DOTALL)
"""A second sign, as in `==` or `=>`, is a mistake; such a value can be given in JSON."""
SHOWN_INGESTS = 5
MIB = 2**20


def parse_filter(texts: Sequence[str]) -> dict[str, Any] | None:
    """Parse a filter: `author=Anna`, `year>=2020` and the like, or JSON; None where it is empty.

    Raises `Invalid` (`invalid_filter`).
    """
    conditions: dict[str, Any] = {}
    for text in texts:
        for field, condition in _conditions(text):
            tests = conditions.setdefault(field, {})
            tests |= condition if isinstance(condition, dict) else {"eq": condition}
    return conditions or None


def _conditions(text: str) -> Iterator[tuple[str, Any]]:
    if text.lstrip().startswith("{"):
        try:
            yield from orjson.loads(text).items()
        except orjson.JSONDecodeError as error:
            raise Invalid(f"--where is no JSON: {error}.", code="invalid_filter") from error
    elif match := FILTER.fullmatch(text.strip()):
        field, sign, value = match.groups()
        yield field, {TYPED[sign]: value if sign == "~" else parse_value(value)}
    else:
        signs = " ".join(TYPED)
        raise Invalid(
            f"'{text}' is no filter: write field, one of {signs}, and a value.",
            code="invalid_filter",
        )


def parse_value(text: str) -> Any:
    """Parse a number, true, false or a list in JSON; anything else stays a text."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def print_passages(answer: Mapping[str, Any], console: Console) -> None:
    """Print each passage under its place in the source, the words of the query in colour.

    What the answer may lack stands above them.
    """
    for gap in answer.get("gaps", ()):
        say(console, (gap["message"], "yellow"))
    passages: Sequence[dict[str, Any]] = answer["passages"]
    if not passages:
        say(console, ("Nothing is found.", "yellow"))
    several = len({passage["index"] for passage in passages}) > 1
    for passage in passages:
        page = [f"page {passage['page']}"] if passage["page"] else []
        location = " › ".join([passage["source"], *page, *passage["heading"]])
        index = f"{passage['index']}: " if several else ""
        say(console, (f"{passage['score']:.3f} ", "bold"), index, (location, "cyan"))
        if why := passage.get("why"):
            say(console, (f"  {_why(why)}", "dim"))
        _print_highlighted(passage, console)
        for copy in passage.get("also", ()):
            say(console, (f"  also in {copy['index']}: {copy['source']}", "dim"))
        console.print()


def _print_highlighted(passage: Mapping[str, Any], console: Console) -> None:
    if not console.is_terminal:
        write_text(console, passage["text"])
        return
    text = Text(passage["text"])
    for start, end in passage.get("highlights", ()):
        text.stylize("bold yellow", start, end)
    console.print(text)


def _why(why: Mapping[str, Any]) -> str:
    parts = []
    for name, value in why.items():
        shown = f"{value:.3f}" if isinstance(value, float) else _listed(value)
        parts.append(f"{name} {shown}")
    return ", ".join(parts)


def _listed(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = (f"{key} {each:.2f}" if isinstance(each, float) else f"{key} {each}"
                 for key, each in value.items())  # fmt: skip
        return f"({', '.join(pairs)})"
    return str(value)


def print_stats(
    stats: Mapping[str, Any], ingests: Sequence[Mapping[str, Any]], console: Console
) -> None:
    """Print the sizes of an index as a table, and its latest ingests."""
    say(console, (stats["index"], "bold"))
    kinds = ", ".join(f"{count} {kind}" for kind, count in stats["media_types"].items())
    pending = stats["pending_changes"]
    rows: list[tuple[str, str]] = [
        ("documents", f"{stats['documents']:,}"),
        ("of types", kinds or "none"),
        ("passages", f"{stats['passages']:,} ({stats['vectors']:,} different)"),
        ("text", f"{stats['characters']:,} characters of {_mib(stats['size_bytes'])} in files"),
        ("database", f"{_mib(stats['sqlite_bytes'])}, vectors {_mib(stats['vector_bytes'])}"),
        (
            "search files",
            _mib(stats["derived_bytes"]) + (f", {pending} to save" if pending else ""),
        ),
        ("memory", f"about {_mib(stats['memory_bytes'])} in the worker"),
        ("model", f"{stats['model']} ({stats['fingerprint'] or 'nothing embedded yet'})"),
        ("answers from", _threshold(stats["threshold"])),
        ("changed", _when(stats["updated_at"])),
    ]
    console.print(listing(("", ""), rows))
    if ingests:
        shown = (
            (each["kind"], each["state"], _files(each), _when(each["started_at"]), _origin(each))
            for each in ingests[:SHOWN_INGESTS]
        )
        console.print("", listing(("ingest", "state", "files", "begun", "of"), shown))
    for each in ingests[:SHOWN_INGESTS]:
        if each["error"]:
            say(console, (each["error"], "red"))


def _mib(size: int) -> str:
    return f"{size / MIB:.1f} MiB" if size >= MIB / 10 else f"{size / 1024:.1f} KiB"


def _threshold(threshold: Mapping[str, Any] | None) -> str:
    if threshold:
        return f"score {threshold['value']:.3f}"
    return "the score of any index; `motet index calibrate` finds its own"


def _when(seconds: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else "never"


def _files(ingest: Mapping[str, Any]) -> str:
    return f"{ingest['files_done']}/{ingest['files_total']}"


def _origin(ingest: Mapping[str, Any]) -> str:
    origin = str(ingest["origin"])
    return str(orjson.loads(origin)["start"]) if ingest["kind"] == "crawl" else origin
