"""Where a large value lies."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Reference(NamedTuple):
    """A slot of a part: a segment that holds the value alone, or the root of a sequence."""

    kind: Literal["value", "list", "dict"]
    part: int
    slot: int
