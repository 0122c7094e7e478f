"""A file as an answer, or the parts of it that a `Range` asks for."""

from __future__ import annotations

import asyncio
import os
import re

from starlette.datastructures import Headers
from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

from config.errors import Invalid, NotFound
from server.http.conditional import is_unmodified

UNIT = re.compile(r"\s*([^\s=,;]+)\s*=")
BYTE_RANGE = re.compile(r"\s*(?P<first>\d{0,1000})\s*-\s*(?P<last>\d{0,1000})\s*")


class StoredFile(FileResponse):
    """Sends a stored file. Ranges that it cannot send are refused in the envelope of errors."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file. Raises `Invalid` (`range_not_satisfiable`), and `NotFound`
        (`artifact_not_found`) where the file is gone.
        """
        try:
            self.stat_result = await asyncio.to_thread(os.stat, self.path)
        except FileNotFoundError as error:
            raise NotFound("The artifact's file is gone.", code="artifact_not_found") from error
        self.set_stat_headers(self.stat_result)
        headers = Headers(scope=scope)
        text = headers.get("range")
        # A client that has the whole file, as it says itself, is told so whatever part it names.
        is_known = is_unmodified(headers, self.headers)
        if text is not None and not is_known and self._counts(text, headers.get("if-range")):
            check_ranges(text, self.stat_result.st_size)
        elif text is not None:
            scope = {**scope, "headers": [each for each in headers.raw if each[0] != b"range"]}
        await super().__call__(scope, receive, send)

    def _counts(self, text: str, if_range: str | None) -> bool:
        """Tell whether a range is to be sent: its unit is known, and the file still the same."""
        unit = UNIT.match(text)
        own = (None, self.headers["etag"], self.headers["last-modified"])
        return if_range in own and (unit is None or unit[1].lower() == "bytes")


def check_ranges(text: str, size_bytes: int) -> None:
    """Raise `Invalid` (`range_not_satisfiable`) unless a file has each of the ranges."""
    _, equals, ranges = text.partition("=")
    for each in ranges.split(","):
        parsed = BYTE_RANGE.fullmatch(each)
        first, last = (parsed["first"], parsed["last"]) if parsed else ("", "")
        if not equals or not (first or last):
            raise _unsatisfiable(text, "is not written as bytes=FIRST-LAST", size_bytes)
        if first and last and int(last) < int(first):
            raise _unsatisfiable(text, "ends before it begins", size_bytes)
        if size_bytes == 0 or (int(first) >= size_bytes if first else int(last) == 0):
            raise _unsatisfiable(text, f"is not within its {size_bytes} bytes", size_bytes)


def _unsatisfiable(text: str, problem: str, size_bytes: int) -> Invalid:
    return Invalid(
        f"The range '{text[:80]}' {problem}.",
        code="range_not_satisfiable",
        details={"field": "Range", "size_bytes": size_bytes},
    )
