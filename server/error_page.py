"""Writes docs/errors.md from the registry of error codes: `python -m server.error_page`."""

from __future__ import annotations

from pathlib import Path

from config.error_codes import CODES_OF_FAMILY, ErrorCode
from server.http.errors import STATUS, STATUS_OF_CODE

PAGE = Path(__file__).parent.parent / "docs" / "errors.md"
HEAD = """\
# Error codes

This page is made of `config/error_codes` by `python -m server.error_page`.

Every error has a stable `code` and belongs to a family, which decides the HTTP status
([their shape](http-api.md#errors)). The same codes stand in a run's record, in its events and in
the messages of `motet`.
"""
WARNINGS = """
## warning

These are no errors: they come as events `warning` of a run, which goes on. Codes from above come
as warnings too, where a failure is tried again or handled.
"""


def render_page() -> str:
    """Render all codes by family, as Markdown."""
    return HEAD + "".join(_section(family) for family in CODES_OF_FAMILY)


def _section(family: str) -> str:
    head = WARNINGS if family == "warning" else f"\n## {family}\n"
    rows = [_row(family, *item) for item in sorted(CODES_OF_FAMILY[family].items())]
    return "\n".join(
        [head, "| code | HTTP | meaning | what to do |", "| --- | ---: | --- | --- |", *rows, ""]
    )


def _row(family: str, code: str, entry: ErrorCode) -> str:
    status = STATUS_OF_CODE.get(code) or STATUS.get(family)
    return f"| `{code}` | {status or '-'} | {entry.meaning} | {entry.remedy} |"


if __name__ == "__main__":
    PAGE.write_text(render_page())
