"""Routes for supervisors: whether the process lives, and whether the service is ready."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from server.services import ServicesOf

router = APIRouter(tags=["health"])


@router.get("/health")
async def health() -> dict[str, str]:
    """Answer, as long as the process does."""
    return {"status": "ok"}


@router.get("/ready")
async def ready(services: ServicesOf) -> dict[str, Any]:
    """Answer once the data folder is open and interrupted runs have been taken up."""
    return {"status": "ready", "active_runs": services.engine.active}
