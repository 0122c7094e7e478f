"""Lines of text that come over a network.

`str.splitlines`, and the readers of HTTP clients that are made of it, break at a dozen characters
more, such as U+2028 and U+0085. In JSON these may stand within a text, so no such line is whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

ESCAPES = {"\x85": rb"\u0085", "\u2028": rb"\u2028", "\u2029": rb"\u2029"}
"""Characters that some readers break lines at, and that JSON leaves as they are."""


async def read_lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[str]:
    r"""Yield the lines of a stream in UTF-8, which end at `\n` or `\r\n` alone.

    Raises `UnicodeDecodeError`.
    """
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r").decode()
    if rest:
        yield rest.decode()


def escape_line_breaks(json: bytes) -> bytes:
    """Escape what some readers break lines at within texts of JSON."""
    for character, escape in ESCAPES.items():
        json = json.replace(character.encode(), escape)
    return json
