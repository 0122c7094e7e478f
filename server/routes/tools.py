"""Routes of the tools that agents may call."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from server.http.access import CallerOf
from server.http.bodies import StrictRoute
from server.services import ServicesOf

router = APIRouter(tags=["tools"], route_class=StrictRoute)


@router.get("/tools")
async def list_tools(services: ServicesOf, caller: CallerOf) -> Any:
    """List every tool with its arguments' JSON schema. `problems` are files that do not load."""
    return {
        "tools": services.tools.describe(),
        "problems": [problem.as_dict() for problem in services.tools.problems],
    }
