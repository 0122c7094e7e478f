"""Plain data as YAML that people like to read: long texts as blocks, short lists on a line."""

from __future__ import annotations

from typing import Any

import yaml

from config.yaml_schema import add_core_resolvers

MAX_LINE_CHARS = 40
"""Of a list or an object that is written on one line."""


def write_yaml(value: Any) -> str:
    """Write plain data as YAML, in the order given."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    def represent_sequence(
        self, tag: str, sequence: Any, flow_style: bool | None = None
    ) -> yaml.SequenceNode:
        return super().represent_sequence(tag, sequence, _is_short(list(sequence)))

    def represent_mapping(
        self, tag: str, mapping: Any, flow_style: bool | None = None
    ) -> yaml.MappingNode:
        return super().represent_mapping(tag, mapping, _is_short(list(mapping.values())))


def _is_short(values: list[Any]) -> bool:
    plain = not any(isinstance(value, dict | list) for value in values)
    return plain and sum(len(str(value)) for value in values) <= MAX_LINE_CHARS


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
# Texts that only YAML 1.2 reads as numbers, such as 1e3, are put in quotes too.
add_core_resolvers(_Dumper)
