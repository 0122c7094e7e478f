"""Models: which there are, what each role resolves to and why, and the memory they take."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from server.access import CallerOf
from server.services import ServicesOf

router = APIRouter(tags=["models"])


@router.get("/models")
async def list_models(services: ServicesOf, caller: CallerOf) -> Any:
    """Every model with its state, every role with its choice, and the memory ledger."""
    return {
        "models": [status.as_dict() for status in await services.models.discover()],
        "roles": [role.as_dict() for role in await services.models.roles()],
        "memory": [device.as_dict() for device in services.models.memory()],
    }
