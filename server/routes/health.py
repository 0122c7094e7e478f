"""Routes for supervisors: whether the process lives, and whether the service is ready."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from config.errors import Unavailable
from server.services import ServicesOf

router = APIRouter(tags=["health"])


@router.get("/health")
async def health() -> dict[str, str]:
    """Answer, as long as the process does."""
    return {"status": "ok"}


@router.get("/ready")
async def ready(services: ServicesOf) -> dict[str, Any]:
    """Answer once the data folder is open and interrupted runs have been taken up.

    503 with `details.reasons` while the service is stopping, or the disk takes no writes.
    `problems` are damaged files, which keep nothing else from being served; `user_functions` counts
    the calls of users' functions that are in a thread, and those that nobody waits for any more.
    """
    if reasons := await services.readiness.reasons():
        raise Unavailable(
            " ".join(reason.message for reason in reasons),
            code="not_ready",
            details={"reasons": [reason.as_dict() for reason in reasons]},
            retry_after_s=5,
        )
    problems = await services.readiness.problems()
    calls = services.user_threads.calls
    return {
        "status": "ready",
        "active_runs": services.engine.active,
        "held_runs": len(services.engine.held),
        "problems": [problem.as_dict() for problem in problems],
        "user_functions": {
            "running": len(calls),
            "abandoned": sum(call.abandoned for call in calls),
        },
    }
