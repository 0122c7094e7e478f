"""The headers of GGUF files: read quickly, and never trusted."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import pytest

from models.backends.common.gguf import GgufHeader, is_gguf, read_header
from tests.support.tiny.gguf_files import CONTEXT, TEMPLATE, write_model

TEXT, ARRAY, U32 = 8, 9, 4


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def header(*fields: bytes, count: int | None = None, version: int = 3) -> bytes:
    """The beginning of a file with these fields and no tensor."""
    number = len(fields) if count is None else count
    return b"GGUF" + struct.pack("<IQQ", version, 0, number) + b"".join(fields)


def numbers(name: str, *values: int) -> bytes:
    """A field that is an array."""
    kind = struct.pack("<IIQ", ARRAY, U32, len(values))
    return text(name) + kind + struct.pack(f"<{len(values)}I", *values)


def read(folder: Path, content: bytes) -> GgufHeader:
    file = folder / "model.gguf"
    file.write_bytes(content)
    return read_header(file)


def test_header_says_what_the_reference_library_wrote(tmp_path: Path) -> None:
    file = write_model(tmp_path / "model.gguf")

    found = read_header(file)

    reference = gguf.GGUFReader(file)
    expected = {
        name: field.contents()
        for name, field in reference.fields.items()
        if not name.startswith("GGUF.") and name != "tokenizer.ggml.tokens"
    }
    assert found.fields == expected
    assert found.architecture == "llama"
    assert found.get("context_length") == CONTEXT
    assert found.fields["tokenizer.chat_template"] == TEMPLATE
    words = reference.fields["tokenizer.ggml.tokens"]
    assert found.lengths["tokenizer.ggml.tokens"] == len(words.contents())


def test_short_array_of_numbers_is_read_and_a_long_one_is_passed_over(tmp_path: Path) -> None:
    long = range(5000)

    found = read(tmp_path, header(numbers("short", 1, 2, 3), numbers("long", *long)))

    assert found.fields == {"short": [1, 2, 3]}
    assert found.lengths == {"short": 3, "long": 5000}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no GGUF"),
        (b"hello, world", "no GGUF"),
        (b"GGUF", "ends too early"),
        (header(version=1), "version 1"),
        (header(count=3), "ends too early"),
        (header(count=2**60), "fields"),
        (header(struct.pack("<Q", 2**60)), "bytes"),
        (header(struct.pack("<Q", 3000) + b"short"), "ends too early"),
        (header(text("x") + struct.pack("<I", 99)), "unknown type"),
        (header(text("x") + struct.pack("<IIQ", ARRAY, ARRAY, 1)), "unknown type"),
        (header(text("x") + struct.pack("<IIQ", ARRAY, TEXT, 2**62)), "ends too early"),
        (header(text("x") + struct.pack("<IIQ", ARRAY, U32, 2**62), count=2), "ends too early"),
    ],
)
def test_damaged_header_is_refused_with_the_reason(
    tmp_path: Path, content: bytes, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        read(tmp_path, content)


def test_header_that_is_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = header(numbers("numbers", 1, 2), text("name") + struct.pack("<I", TEXT) + text("tiny"))
    assert read(tmp_path, whole).fields == {"numbers": [1, 2], "name": "tiny"}

    for length in range(len(whole)):
        with pytest.raises(ValueError, match=r"GGUF|early"):
            read(tmp_path, whole[:length])


def test_file_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("GGU")

    assert is_gguf(write_model(tmp_path / "named.bin"))
    assert not is_gguf(tmp_path / "text")
    with pytest.raises(FileNotFoundError):
        is_gguf(tmp_path / "absent")
