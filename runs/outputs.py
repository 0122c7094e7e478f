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


def encode_output(output: Any, parts: Mapping[str, Reference]) -> EncodedOutput:
    """Encode an output, some of whose values lie in `parts`."""
    if parts:
        output = {name: None if name in parts else value for name, value in output.items()}
    return EncodedOutput(dumps(output), parts)


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
