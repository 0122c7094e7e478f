"""Lines that come over a network end where their sender ended them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from config.text_streams import escape_line_breaks, read_lines

BREAKS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
"""What `str.splitlines` breaks at besides carriage returns and newlines."""


async def chunks(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_lines_end_at_newlines_alone_however_they_are_cut(size: int) -> None:
    data = f"a{BREAKS}b\r\n\nä\rö\nend".encode()

    lines = [line async for line in read_lines(chunks(data, size))]

    assert lines == [f"a{BREAKS}b", "", "ä\rö", "end"]


def test_escaped_json_is_one_line_for_every_reader_and_says_the_same() -> None:
    value = {"text": f"the mast{BREAKS}is “12 m” high"}

    line = escape_line_breaks(json.dumps(value, ensure_ascii=False).encode())

    assert len(line.decode().splitlines()) == 1
    assert json.loads(line) == value
