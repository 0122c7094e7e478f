"""The header of a GGUF file: what its model is, without its words and its weights.

The format is described in https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The package
`gguf` reads it too, and makes an object of each of 150,000 words: 8 s and 500 MB. This one passes
over long arrays: 0.03 s.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAGIC = b"GGUF"
VERSIONS = (2, 3)
"""Version 1 has shorter lengths, and llama.cpp reads it no more."""
HEADER_BYTES = (16_000_000, 256_000_000)
"""So much of a file is read at first, and where its header is longer: few are."""
MAX_FIELDS = 65_536
MAX_TEXT_BYTES = 4_000_000
"""Chat templates are the longest texts, with some tens of thousands."""
MAX_ELEMENTS = 4096
"""A longer array is passed over: only its length is known. One with a number a layer is short."""
NUMBERS = ("B", "b", "H", "h", "I", "i", "f", "?", None, None, "Q", "q", "d")
"""The code of `struct` for each type of value; the two without one are texts and arrays."""
TEXT, ARRAY = 8, 9
COUNT = struct.Struct("<Q")
TYPE = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a file says of its model. `lengths` are those of arrays, long ones too."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    lengths: Mapping[str, int] = field(default_factory=dict)

    @property
    def architecture(self) -> str:
        return str(self.fields.get("general.architecture", ""))

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field of the model's architecture, as "context_length"."""
        return self.fields.get(f"{self.architecture}.{name}", default)


def is_gguf(path: Path) -> bool:
    """Tell whether a file begins as GGUF does. Raises `OSError`."""
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def read_header(path: Path) -> GgufHeader:
    """Read the header of a file. Raises `OSError`, and `ValueError` for one that is no GGUF."""
    for most_bytes in HEADER_BYTES:
        with path.open("rb") as stream:
            content = stream.read(most_bytes)
        if not content.startswith(MAGIC):
            raise ValueError("it is no GGUF file")
        try:
            return _Reader(content).read()
        except (struct.error, IndexError, OverflowError) as error:
            # All of the file was there, or the last bound is reached.
            if len(content) < most_bytes or most_bytes == HEADER_BYTES[-1]:
                raise ValueError("its header is damaged: it ends too early") from error
    raise AssertionError("the last bound returns or raises")


class _Reader:
    """Reads values one after the other."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = len(MAGIC)

    def read(self) -> GgufHeader:
        (version,) = self._unpack(TYPE)
        if version not in VERSIONS:
            raise ValueError(f"it has version {version} of GGUF; {VERSIONS} are known")
        self._unpack(COUNT)  # of tensors
        (count,) = self._unpack(COUNT)
        if count > MAX_FIELDS:
            raise ValueError(f"its header claims {count} fields")
        fields: dict[str, Any] = {}
        lengths: dict[str, int] = {}
        for _ in range(count):
            name = self._text()
            (kind,) = self._unpack(TYPE)
            if kind != ARRAY:
                fields[name] = self._value(kind)
            else:
                (kind,), (lengths[name],) = self._unpack(TYPE), self._unpack(COUNT)
                if elements := self._array(kind, lengths[name]):
                    fields[name] = elements
        return GgufHeader(fields, lengths)

    def _unpack(self, form: struct.Struct) -> tuple[Any, ...]:
        values = form.unpack_from(self._content, self._at)
        self._at += form.size
        return values

    def _text(self) -> str:
        (size,) = self._unpack(COUNT)
        if size > MAX_TEXT_BYTES:
            raise ValueError(f"its header has a text of {size} bytes")
        end = self._at + size
        if end > len(self._content):
            raise IndexError
        text = self._content[self._at : end].decode(errors="replace")
        self._at = end
        return text

    def _value(self, kind: int) -> Any:
        if kind == TEXT:
            return self._text()
        return self._unpack(struct.Struct(f"<{_code(kind)}"))[0]

    def _array(self, kind: int, count: int) -> list[Any]:
        """Read a short array of numbers; pass over a long one, and over one of texts."""
        if kind == TEXT:
            self._pass_texts(count)
            return []
        form = struct.Struct(f"<{_code(kind)}")
        if count > MAX_ELEMENTS:
            self._at += count * form.size
            return []
        return [self._unpack(form)[0] for _ in range(count)]

    def _pass_texts(self, count: int) -> None:
        # Some 300,000 times for a large vocabulary and its merges: hence the local names.
        at, content, unpack_from = self._at, self._content, COUNT.unpack_from
        for _ in range(count):
            at += 8 + unpack_from(content, at)[0]
        self._at = at


def _code(kind: int) -> str:
    code = NUMBERS[kind] if kind < len(NUMBERS) else None
    if code is None:
        raise ValueError(f"its header has a value of the unknown type {kind}")
    return code
