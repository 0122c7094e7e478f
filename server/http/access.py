"""Who calls. Every route asks here, so that keys can be checked in one place.

Invariant: nothing is read or written but in the tenant of the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from server.tenants import LOCAL_TENANT


@dataclass(frozen=True, slots=True)
class Caller:
    """The client of a request; its threads, runs, indexes and artifacts are its tenant's."""

    tenant: str


_LOCAL = Caller(LOCAL_TENANT)


async def identify_caller() -> Caller:
    """Identify the caller of a request; bound to loopback without keys, there is only one."""
    return _LOCAL


CallerOf = Annotated[Caller, Depends(identify_caller)]
