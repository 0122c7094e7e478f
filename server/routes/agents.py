"""Agents: what there is, one's own from YAML, and running them."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict
from starlette.types import Receive

from config.errors import Conflict, Invalid, MotetError
from runs.events import dumps
from runs.record import Run, RunRequest
from server.http.access import Caller, CallerOf
from server.http.bodies import StrictRoute, media_type, read_json, read_text, unsupported
from server.http.errors import status_of
from server.http.run_bodies import RUN_BODY, RunBody, read_run
from server.http.sse import FORMAT, EventStream, disconnected, encoded, json_wanted
from server.services import ServicesOf
from tools.safe_fetch import check_url

router = APIRouter(tags=["agents"], route_class=StrictRoute)

YAML_EXAMPLE = """\
version: 1
name: shout
description: Say it louder.
input:
  text: string
nodes:
  louder:
    type: set
    values:
      answer: "{{ text | upper }}!"
output: [answer]
"""


class AgentBody(BaseModel):
    """An agent as YAML text."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"yaml": YAML_EXAMPLE}]}
    )

    yaml: str


YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain")
AGENT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": AgentBody.model_json_schema()},
            "application/yaml": {"schema": {"type": "string"}, "example": YAML_EXAMPLE},
        },
    }
}


@router.get("/agents")
async def list_agents(services: ServicesOf, caller: CallerOf) -> Any:
    """Every agent: shipped, one's own, and Python graphs. `problems` are files that do not load."""
    return {
        "agents": [_summary(agent) for agent in services.catalog.list()],
        "problems": [problem.as_dict() for problem in services.catalog.problems()],
    }


@router.get("/agents/{name}")
async def show_agent(name: str, services: ServicesOf, caller: CallerOf) -> Any:
    """One agent: description, input and output JSON schemas, source, picture."""
    agent = services.catalog.get(name)
    return {
        **_summary(agent),
        "input_schema": agent.input_schema,
        "output_schema": agent.output_schema,
        "yaml": agent.sources.get(agent.name),
        "mermaid": agent.mermaid(),
        "picture": f"/agents/{agent.name}/picture.svg",
    }


@router.get("/agents/{name}/picture.svg", response_class=Response)
async def draw_agent(name: str, services: ServicesOf, caller: CallerOf) -> Response:
    """The agent's graph as a picture."""
    agent = services.catalog.get(name)
    picture = await asyncio.to_thread(agent.picture_svg)
    return Response(picture, media_type="image/svg+xml")


@router.post("/agents", status_code=201, openapi_extra=AGENT_BODY)
async def create_agent(services: ServicesOf, caller: CallerOf, request: Request) -> Any:
    """Create an agent from YAML: `{"yaml": "..."}`, or the YAML itself as `application/yaml`."""
    agent = services.catalog.create(await _yaml(request))
    return await show_agent(agent.name, services, caller)


@router.put("/agents/{name}", openapi_extra=AGENT_BODY)
async def replace_agent(name: str, services: ServicesOf, caller: CallerOf, request: Request) -> Any:
    """Replace one's own agent; runs under way keep the version they began with."""
    agent = services.catalog.replace(name, await _yaml(request))
    return await show_agent(agent.name, services, caller)


@router.delete("/agents/{name}", status_code=204)
async def delete_agent(name: str, services: ServicesOf, caller: CallerOf) -> None:
    """Delete one's own agent. Shipped ones stay."""
    services.catalog.delete(name)


@router.post(
    "/agents/{name}/run",
    response_class=Response,
    openapi_extra=RUN_BODY,
    responses={
        200: {
            "description": "The run's events as they happen, or its final state",
            "content": {
                FORMAT: {
                    "example": 'id: 1\nevent: run.started\ndata: {"type":"run.started","seq":1}\n\n'
                },
                "application/json": {"example": {"status": "finished", "output": {"answer": "…"}}},
            },
        },
        202: {"description": "Accepted; `Location` is the run's address"},
    },
)
async def run_agent(
    name: str,
    request: Request,
    services: ServicesOf,
    caller: CallerOf,
    accept: Annotated[str, Header()] = "*/*",
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> Response:
    """Run an agent: a stream of events, the final output, or an address to come back to.

    Files are sent as a form: each in the input field that it is for, the other fields of the
    input as JSON in `input`.
    """
    body = await read_run(name, request, services, caller)
    run, after = await _begin(name, body, services, caller, idempotency_key)
    if body.background:
        return json_response(run.as_dict(), 202, {"Location": f"/runs/{run.run_id}"})
    cancel_on_disconnect = body.on_disconnect != "continue"
    if body.stream and not json_wanted(accept):
        return stream_run(run, after, services, caller, cancel_on_disconnect)
    leaving = request.receive if cancel_on_disconnect else None
    return await wait_for_run(run, services, caller, leaving)


async def _begin(
    name: str,
    body: RunBody,
    services: ServicesOf,
    caller: Caller,
    idempotency_key: str | None,
) -> tuple[Run, int]:
    """The run, and the number of the last event that the caller has no need of."""
    if "resume" in body.model_fields_set:
        waiting = _waiting(name, body, services, caller)
        after = services.engine.last_seq(waiting.run_id)
        return await services.engine.resume(waiting.run_id, body.resume, caller.tenant), after
    if body.checkpoint_id and not body.thread_id:
        raise Invalid(
            "checkpoint_id needs the thread_id whose history it is in.",
            details={"field": "thread_id"},
        )
    _check_webhook(body.webhook, services)
    request = RunRequest(
        agent=name,
        input=body.input,
        tenant=caller.tenant,
        thread_id=str(body.thread_id) if body.thread_id else None,
        create_thread=body.if_not_exists == "create",
        checkpoint_id=body.checkpoint_id,
        multitask=body.multitask_strategy,
        webhook=body.webhook,
        idempotency_key=idempotency_key,
        metadata=body.metadata,
    )
    return await services.engine.submit(request), 0


def _waiting(name: str, body: RunBody, services: ServicesOf, caller: Caller) -> Run:
    if not body.thread_id:
        raise Invalid(
            "resume needs the thread_id of the run that waits; a run without a thread is "
            "resumed with POST /runs/{run_id}/resume.",
            details={"field": "thread_id"},
        )
    run = services.engine.find_waiting(str(body.thread_id), caller.tenant)
    if run is None or run.agent != name:
        raise Conflict(
            f"No run of agent '{name}' waits for an answer on thread {body.thread_id}.",
            code="run_not_waiting",
            details={"field": "resume"},
        )
    return run


def _check_webhook(url: str | None, services: ServicesOf) -> None:
    try:
        if url is not None:
            check_url(url, services.fetch_limits)
    except Invalid as error:
        raise Invalid(error.message, code=error.code, details={"field": "webhook"}) from error


def stream_run(
    run: Run, after: int, services: ServicesOf, caller: Caller, cancel_on_disconnect: bool
) -> EventStream:
    """The run's events behind `after`, live."""
    return EventStream(
        encoded(services.engine.follow(run.run_id, after, caller.tenant)),
        heartbeat_s=services.settings.heartbeat_s,
        headers={
            "Location": f"/runs/{run.run_id}/events",
            "Content-Location": f"/runs/{run.run_id}",
        },
        on_disconnect=partial(_abandon, run, services, caller) if cancel_on_disconnect else None,
    )


async def wait_for_run(
    run: Run, services: ServicesOf, caller: Caller, leaving: Receive | None = None
) -> Response:
    """The run once it has ended or waits; a failed one with its error's status.

    With `leaving`, a client's end of the connection, the run is cancelled when the client goes.
    """

    async def abandon_when_left(receive: Receive) -> None:
        await disconnected(receive)
        await _abandon(run, services, caller)

    watch = asyncio.create_task(abandon_when_left(leaving)) if leaving else None
    try:
        run = await services.engine.wait_ended(run.run_id, caller.tenant)
    finally:
        if watch:
            watch.cancel()
    address = {"Content-Location": f"/runs/{run.run_id}"}
    if run.status == "failed" and run.error:
        failed = {"error": run.error, "detail": run.error["message"], "run": run.as_dict()}
        return json_response(failed, status_of(run.error), address)
    return json_response(run.as_dict(), 200, address)


async def _abandon(run: Run, services: ServicesOf, caller: Caller) -> None:
    with contextlib.suppress(MotetError):  # it may have ended as the client left
        await services.engine.cancel(run.run_id, caller.tenant, "client_disconnected")


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON of anything that a graph's state may hold."""
    return Response(dumps(value), status, headers, media_type="application/json")


def _summary(agent: Any) -> dict[str, Any]:
    return {
        "name": agent.name,
        "description": agent.description,
        "origin": agent.origin,
        "version": agent.version,
    }


async def _yaml(request: Request) -> str:
    kind = media_type(request)
    if kind == "application/json":
        return (await read_json(request, AgentBody)).yaml
    if kind not in YAML_TYPES:
        raise unsupported(request, "YAML as application/yaml, or JSON as application/json")
    return await read_text(request)
