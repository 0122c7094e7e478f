"""The core schema of YAML 1.2: which plain scalars are no text, and what they are.

Owns the scalars, all of which JSON has too; `config.yaml_reader` reads files with them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

MAX_DIGITS = 24
"""More digits than any whole number of 64 bits has, in any base."""

TAG = "tag:yaml.org,2002:"
MERGE = f"{TAG}merge"
CORE_SCALARS: Mapping[str, tuple[re.Pattern[str], str]] = {
    f"{TAG}null": (re.compile(r"^(?:~|null|Null|NULL|)$"), "~nN"),
    f"{TAG}bool": (re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    f"{TAG}int": (re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), "-+0123456789"),
    f"{TAG}float": (
        re.compile(
            r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        "-+.0123456789",
    ),
}
"""By tag: what a plain scalar of it looks like, and the characters with which it may begin.

An int comes before a float, whose pattern it fits too."""
KINDS: Mapping[str, type[yaml.Node]] = {
    f"{TAG}str": yaml.ScalarNode,
    MERGE: yaml.ScalarNode,
    f"{TAG}seq": yaml.SequenceNode,
    f"{TAG}map": yaml.MappingNode,
    **dict.fromkeys(CORE_SCALARS, yaml.ScalarNode),
}


# libyaml's parser where PyYAML was built with it: it reads the largest file in a tenth of the time.
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class CoreLoader(_Parser):  # type: ignore[misc]
    """PyYAML's parser with the plain scalars of YAML 1.2: `8:30`, `on` and dates are text."""

    yaml_implicit_resolvers: Any = {}  # noqa: RUF012 - PyYAML's own, replaced and not added to


def add_core_resolvers(resolver: Any) -> None:
    """Teach a loader or a dumper of PyYAML which plain scalars are no text."""
    for tag, (pattern, first) in CORE_SCALARS.items():
        resolver.add_implicit_resolver(tag, pattern, [*first, *([""] if "null" in tag else [])])


add_core_resolvers(CoreLoader)
CoreLoader.add_implicit_resolver(MERGE, re.compile("^<<$"), ["<"])


def _whole_number(text: str) -> int:
    digits = text.lstrip("+-")
    significant = digits.lstrip("0oxOX") or "0"
    number = 2**64
    if len(significant) <= MAX_DIGITS:
        bases = {"0o": 8, "0x": 16}
        number = int(text, bases.get(digits[:2], 10))
    if not -(2**63) <= number < 2**63:
        raise ValueError("a whole number has at most 64 bits; in quotes it is text.")
    return number


def _number(text: str) -> float:
    number = math.inf if text[-1] in "fFnN" else float(text)
    if not math.isfinite(number):
        raise ValueError(f"'{text[:80]}' is no number that JSON has; in quotes it is text.")
    return number


SCALARS: Mapping[str, Callable[[str], Any]] = {
    f"{TAG}null": lambda text: None,
    f"{TAG}bool": lambda text: text.lower() == "true",
    f"{TAG}int": _whole_number,
    f"{TAG}float": _number,
}
