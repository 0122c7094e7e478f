"""YAML text to plain values and their positions in an agent's file.

What YAML means is `config.yaml_reader`'s; this module makes `invalid_agent` of what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from config.yaml_reader import read_yaml
from graphs.spec.problems import Problems


@dataclass
class ParsedYaml:
    """A file's values, and its problems object, which knows the line and column of each."""

    value: Any
    problems: Problems


def read_source(text: str | bytes, file: str | None = None) -> ParsedYaml:
    """Parse one YAML document. Raises `Invalid(code="invalid_agent")` naming line and column.

    Aliases may repeat a value, but not blow it up: size, count and depth are bounded.
    """
    document = read_yaml(text)
    problems = Problems(file, document.marks)
    for fault in document.faults:
        problems.add(fault.path, fault.message)
    problems.check()
    return ParsedYaml({} if document.value is None else document.value, problems)
