"""What the registry says of one code."""

from __future__ import annotations

from typing import NamedTuple


class ErrorCode(NamedTuple):
    """A failure as a user of the API meets it, in one sentence each."""

    meaning: str
    remedy: str
