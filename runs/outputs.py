"""Outputs of runs as they are stored: JSON in which large values are references.

What an agent picks from its state lies in the parts of the thread already, and is made JSON when it
is read. A run whose thread ends with it has no such references.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from graphs.interface import as_json
from runs.events import dumps
from runs.parts.part_reader import PartReader
from runs.parts.reference import Reference
from runs.parts.stored_values import read
from runs.record import EncodedOutput


class PickedOutput:
    """The output of a run that ends: what its agent picked, some of which lies in `parts`."""

    def __init__(self, picked: Mapping[str, Any], parts: Mapping[str, Reference]) -> None:
        self._picked = picked
        self._parts = parts

    def encode(self) -> EncodedOutput:
        """Encode the output to be stored."""
        rest = {
            name: None if name in self._parts else as_json(value)
            for name, value in self._picked.items()
        }
        return EncodedOutput(dumps(rest), self._parts)

    def whole(self) -> dict[str, Any]:
        """Return the whole output as JSON. Takes as long as it is large."""
        return {name: as_json(value) for name, value in self._picked.items()}


def load_output(json: str, parts: str | None) -> EncodedOutput:
    """Make it of the columns in which it is stored."""
    references = orjson.loads(parts) if parts else {}
    return EncodedOutput(
        json.encode(), {name: Reference(*where) for name, where in references.items()}
    )


def read_output(encoded: EncodedOutput, reader: PartReader) -> Any:
    """Return the whole output. Blocks where it has parts."""
    output = orjson.loads(encoded.json)
    for name, where in encoded.parts.items():
        output[name] = as_json(read(where, reader))
    return output
