"""What a YAML parser says of a text, in words for its author: where, and what to do.

The two parsers of PyYAML word the same fault differently; both wordings are known here.
"""

from __future__ import annotations

import re

import yaml

CHARACTER_REMEDIES = {
    "\t": "Indent by spaces, not by tabs.",
    **dict.fromkeys("@`%", "A text that begins so needs quotes."),
}
"""By the character at which the parser stops."""
REMEDIES = (
    ("tab character", CHARACTER_REMEDIES["\t"]),
    (
        "undefined alias",
        "A text that begins with '*' needs quotes; an alias needs its anchor before it.",
    ),
    ("expected alphabetic", "A text that begins with '*' or '&' needs quotes."),
    ("mapping values are not allowed", "A text that holds ': ' needs quotes."),
    ("another document", "A file holds one document: leave out '---'."),
    ("expected a single document", "A file holds one document: leave out '---'."),
    ("unknown escape", "Single quotes take a backslash as it is."),
    ("unexpected end of stream", "A quote is never closed."),
    ("expected ',' or", "Close the bracket, or put a text with brackets or commas in quotes."),
    ("expected <block end>", "Look at the indentation here, and at quotes and brackets before."),
    ("expected key", "Look at the indentation here, and at quotes and brackets before."),
    ("duplicate anchor", "Give the anchor another name."),
    ("incompatible YAML", "Leave the directive out: files are read as YAML 1.2."),
)
"""By a part of what the parser says."""


def word_syntax_error(error: yaml.MarkedYAMLError, text: str) -> tuple[str, tuple[int, int] | None]:
    """Word an error of the parser, and place it where its author can see something."""
    problem = error.problem or error.context or ""
    message = f"this is not YAML: {problem}"
    mark, context = error.problem_mark or error.context_mark, error.context_mark
    if mark is None:
        return f"{message}.", None
    if error.context and context and context.line < mark.line:
        message = f"{message} ({error.context} from line {context.line + 1})"
    remedy = _find_remedy(f"{problem} {error.context or ''}", text, mark)
    # What is missing at the end of a file is missing on its last line, not below that.
    end = end_position(text.rstrip())
    return f"{message}. {remedy}".strip(), min((mark.line + 1, mark.column + 1), end)


def end_position(text: str) -> tuple[int, int]:
    """Give the line and the column, both from 1, that come after a text."""
    lines = re.split(r"\r\n|[\r\n\x85\u2028\u2029]", text)
    return len(lines), len(lines[-1]) + 1


def _find_remedy(said: str, text: str, mark: yaml.Mark) -> str:
    if "cannot start any token" in said:
        # The parsers count positions in characters, or in bytes: the line's own text tells.
        lines = text.splitlines()
        line = lines[mark.line][mark.column :] if mark.line < len(lines) else ""
        return CHARACTER_REMEDIES.get(line[:1], "A text that begins so needs quotes.")
    return next((remedy for part, remedy in REMEDIES if part in said), "")
