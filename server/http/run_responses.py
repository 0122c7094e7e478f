"""A run as a response: streamed as it happens, or waited for; cancelled when its client leaves."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial

from starlette.responses import Response
from starlette.types import Receive

from config.errors import MotetError
from runs.record import Run
from server.http.access import Caller
from server.http.errors import status_of
from server.http.responses import json_response
from server.http.sse import EventStream, encode_run, wait_disconnected
from server.services import Services


def stream_run(
    run: Run, after: int, services: Services, caller: Caller, *, cancel_on_disconnect: bool
) -> EventStream:
    """Stream the run's events behind number `after`, live, until it ends or waits."""
    return EventStream(
        encode_run(services.engine.follow(run.run_id, after, tenant=caller.tenant)),
        heartbeat_s=services.settings.heartbeat_s,
        headers={
            "Location": f"/runs/{run.run_id}/events",
            "Content-Location": f"/runs/{run.run_id}",
        },
        on_disconnect=partial(_abandon, run, services, caller) if cancel_on_disconnect else None,
    )


async def wait_for_run(
    run: Run, services: Services, caller: Caller, receive: Receive | None = None
) -> Response:
    """Answer with the run once it has ended or waits; a failed one has its error's status.

    With `receive`, the client's end of the connection, the run is cancelled when the client leaves.
    """
    watch = _watch_client(run, services, caller, receive) if receive else None
    try:
        run = await services.engine.wait_ended(run.run_id, tenant=caller.tenant)
    finally:
        if watch:
            watch.cancel()
    address = {"Content-Location": f"/runs/{run.run_id}"}
    if run.status == "failed" and run.error:
        failed = {"error": run.error, "detail": run.error["message"], "run": run.as_dict()}
        return json_response(failed, status_of(run.error), address)
    return json_response(run.as_dict(), 200, address)


def _watch_client(
    run: Run, services: Services, caller: Caller, receive: Receive
) -> asyncio.Task[None]:
    return asyncio.create_task(
        _abandon_on_disconnect(run, services, caller, receive), name="client disconnect"
    )


async def _abandon_on_disconnect(
    run: Run, services: Services, caller: Caller, receive: Receive
) -> None:
    await wait_disconnected(receive)
    await _abandon(run, services, caller)


async def _abandon(run: Run, services: Services, caller: Caller) -> None:
    # The run may have ended as the client left: then there is nothing to cancel.
    with contextlib.suppress(MotetError):
        await services.engine.cancel(run.run_id, tenant=caller.tenant, reason="client_disconnected")
