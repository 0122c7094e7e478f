"""Who calls: every route asks here, and keys will be checked here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends


@dataclass(frozen=True, slots=True)
class Caller:
    """The one a request is made for; threads, runs, indexes and artifacts belong to its tenant."""

    tenant: str = "default"


_LOCAL = Caller()


async def caller() -> Caller:
    """The caller of this request. Bound to loopback without keys, there is only one."""
    return _LOCAL


CallerOf = Annotated[Caller, Depends(caller)]
