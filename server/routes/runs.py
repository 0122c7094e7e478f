"""Routes of runs: list and show them, follow their events, cancel and resume them."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query, Response
from pydantic import ConfigDict, Field

from config.errors import Invalid
from runs.idempotency import key_of_answer
from runs.record import Run, RunStatus
from server.http.access import Caller, CallerOf
from server.http.bodies import Offset, StrictBody, StrictRoute
from server.http.negotiation import prefers_json
from server.http.responses import json_response, next_page
from server.http.run_responses import stream_run, wait_for_run
from server.http.sse import parse_last_event_id
from server.services import Services, ServicesOf

router = APIRouter(tags=["runs"], route_class=StrictRoute)


class ResumeBody(StrictBody):
    """The answer to what a run asked; none for a run that is held."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"answer": {"approved": True}}]})

    answer: Any = Field(
        None, description="One answer, or with several questions a map by their ids."
    )
    stream: bool = True
    background: bool = False


@router.get("/runs")
async def list_runs(
    services: ServicesOf,
    caller: CallerOf,
    agent: str | None = None,
    status: RunStatus | None = None,
    thread_id: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    before: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
) -> Response:
    """List runs, newest first; the header `X-Pagination-Next` is the next page's `before`."""
    page = await services.store.list_runs(
        tenant=caller.tenant,
        agent=agent,
        status=status,
        thread_id=thread_id,
        limit=limit,
        before=before,
    )
    runs = [_describe(run, services) for run in page]
    return json_response({"runs": runs}, headers=next_page(page))


@router.get("/runs/{run_id}")
async def show_run(run_id: str, services: ServicesOf, caller: CallerOf) -> Response:
    """Show a run: status, input, output, error, open questions, its webhook.

    `held` says why nothing executes a run that has not ended: `storage` or `operator`.
    """
    run = await services.engine.show(run_id, tenant=caller.tenant)
    return json_response({**_describe(run, services), "webhook": services.webhooks.describe(run)})


@router.delete("/runs/{run_id}", status_code=204)
async def delete_run(run_id: str, services: ServicesOf, caller: CallerOf) -> None:
    """Delete an ended run and its events."""
    await services.engine.delete(run_id, tenant=caller.tenant)


@router.get("/runs/{run_id}/events", response_class=Response)
async def follow_run(
    run_id: str,
    services: ServicesOf,
    caller: CallerOf,
    accept: Annotated[str, Header()] = "*/*",
    last_event_id: Annotated[str | None, Header()] = None,
    after: Offset | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> Response:
    """Follow the run's events behind `Last-Event-ID` or `?after=`, until the run ends or waits.

    With `Accept: application/json`: a page of those that there are.
    """
    last_seq = after if after is not None else parse_last_event_id(last_event_id)
    run = services.engine.get(run_id, tenant=caller.tenant)
    if not prefers_json(accept):
        return stream_run(run, last_seq, services, caller, cancel_on_disconnect=False)
    page = await services.store.events.read_page(run_id, last_seq, limit, tenant=caller.tenant)
    events = [orjson.Fragment(event.json) for event in page]
    return json_response(
        {"events": events, "next": page[-1].seq if page else last_seq, "ended": run.ended}
    )


@router.post("/runs/{run_id}/cancel")
async def cancel_run(run_id: str, services: ServicesOf, caller: CallerOf) -> Response:
    """End a run that has not ended."""
    return json_response((await services.engine.cancel(run_id, tenant=caller.tenant)).as_dict())


@router.post("/runs/{run_id}/webhook", status_code=202)
async def resend_webhook(run_id: str, services: ServicesOf, caller: CallerOf) -> Response:
    """Call the webhook of an ended run again, as often as it takes."""
    run = services.engine.get(run_id, tenant=caller.tenant)
    return json_response(await services.webhooks.resend(run), 202)


@router.post("/runs/{run_id}/resume", response_class=Response)
async def resume_run(
    run_id: str,
    body: ResumeBody,
    services: ServicesOf,
    caller: CallerOf,
    accept: Annotated[str, Header()] = "*/*",
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> Response:
    """Answer what a run asked, or without an answer let a held run go on; its events follow.

    With `Idempotency-Key` an answer that is sent again is given once.
    """
    if "answer" in body.model_fields_set:
        key = key_of_answer(caller.tenant, idempotency_key, run_id, body.answer)
        run, after = await services.engine.resume(
            run_id, body.answer, tenant=caller.tenant, key=key
        )
    else:
        # Read before it goes on: the events that follow are the caller's, from the first.
        after = services.engine.last_seq(run_id, tenant=caller.tenant)
        _check_held(run_id, services, caller)
        run = await services.engine.take_up(run_id, tenant=caller.tenant)
    if body.background:
        return json_response(run.as_dict(), 202, {"Location": f"/runs/{run_id}"})
    if body.stream and not prefers_json(accept):
        return stream_run(run, after, services, caller, cancel_on_disconnect=False)
    return await wait_for_run(run, services, caller)


def _describe(run: Run, services: Services) -> dict[str, Any]:
    held = services.engine.held.find(run.run_id)
    return {**run.as_dict(), "held": held.reason if held else None}


def _check_held(run_id: str, services: Services, caller: Caller) -> None:
    """Check that a run goes on without an answer. Raises `Invalid` for one that is not held."""
    run = services.engine.get(run_id, tenant=caller.tenant)
    if services.engine.held.find(run_id) is None:
        raise Invalid(
            f"Run {run_id} is {run.status} and not held: it goes on with an answer alone.",
            details={"field": "answer"},
        )
