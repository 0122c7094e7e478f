"""Routes of agents: list, show, draw, create, replace, delete and run them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from pydantic import ConfigDict

from config.errors import Conflict, Invalid
from graphs.agent import Agent
from graphs.loading.outside import list_missing
from runs.idempotency import KeyedRun, key_of_answer
from runs.record import RunRequest
from runs.webhooks import redact_url
from server.adapters.surroundings import describe_surroundings
from server.http.access import Caller, CallerOf
from server.http.bodies import (
    StrictBody,
    StrictRoute,
    media_type,
    read_json,
    read_text,
    unsupported,
)
from server.http.negotiation import SSE_TYPE, prefers_json
from server.http.openapi import request_body
from server.http.responses import json_response
from server.http.run_bodies import RUN_BODY, RunBody, read_run
from server.http.run_responses import stream_run, wait_for_run
from server.http.security_headers import PICTURE_POLICY
from server.services import Services, ServicesOf
from tools.responses import shorten_url
from tools.safe_fetch import check_post_url

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


class AgentBody(StrictBody):
    """An agent as YAML text."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"yaml": YAML_EXAMPLE}]})

    yaml: str


YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")
AGENT_BODY = request_body(
    json=AgentBody,
    text={"application/yaml": {"schema": {"type": "string"}, "example": YAML_EXAMPLE}},
    required=True,
)


@router.get("/agents")
async def list_agents(services: ServicesOf, caller: CallerOf) -> Any:
    """List every agent: shipped, own and Python ones. `problems` are files that do not load."""
    agents = await asyncio.to_thread(services.catalog.list)
    return {
        "agents": [_summary(agent) for agent in agents],
        "problems": [problem.as_dict() for problem in services.catalog.problems()],
    }


@router.get("/agents/{name}")
async def show_agent(name: str, services: ServicesOf, caller: CallerOf) -> Any:
    """Show an agent: description, input and output JSON schemas, source, picture.

    `name@version` is one of its earlier versions.
    """
    agent = await services.engine.agents.find(name)
    return {
        **_summary(agent),
        "input_schema": agent.input_schema,
        "output_schema": agent.output_schema,
        "yaml": agent.sources.get(agent.name),
        "python": agent.modules.get(agent.name),
        "mermaid": await asyncio.to_thread(agent.mermaid),
        "picture": f"/agents/{name}/picture.svg",
    }


@router.get("/agents/{name}/picture.svg", response_class=Response)
async def draw_agent(name: str, services: ServicesOf, caller: CallerOf) -> Response:
    """Draw the agent's graph as an SVG picture."""
    agent = await services.engine.agents.find(name)
    picture = await asyncio.to_thread(agent.picture_svg)
    headers = {"Content-Security-Policy": PICTURE_POLICY, "Cache-Control": "private, no-cache"}
    return Response(picture, headers=headers, media_type="image/svg+xml")


@router.post("/agents", status_code=201, openapi_extra=AGENT_BODY)
async def create_agent(services: ServicesOf, caller: CallerOf, request: Request) -> Any:
    """Create an agent from YAML: `{"yaml": "..."}`, or the YAML itself as `application/yaml`.

    `warnings` are what it names that is not there now: tools, models, indexes.
    """
    agent = await asyncio.to_thread(services.catalog.create, await _read_yaml(request))
    await services.engine.agents.save(agent)
    return await _show_saved(agent, services, caller)


@router.put("/agents/{name}", openapi_extra=AGENT_BODY)
async def replace_agent(name: str, services: ServicesOf, caller: CallerOf, request: Request) -> Any:
    """Replace one's own agent; runs under way keep the version they began with."""
    yaml = await _read_yaml(request)
    await services.engine.agents.save_own()
    agent = await asyncio.to_thread(services.catalog.replace, name, yaml)
    await services.engine.agents.save(agent)
    return await _show_saved(agent, services, caller)


@router.delete("/agents/{name}", status_code=204)
async def delete_agent(name: str, services: ServicesOf, caller: CallerOf) -> None:
    """Delete one's own agent; its saved versions stay. Shipped ones stay."""
    await services.engine.agents.save_own()
    await asyncio.to_thread(services.catalog.delete, name)


@router.post(
    "/agents/{name}/run",
    response_class=Response,
    openapi_extra=RUN_BODY,
    responses={
        200: {
            "description": "The run's events as they happen, or its final state",
            "content": {
                SSE_TYPE: {
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
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> Response:
    """Run an agent: a stream of events, the final output, or an address to come back to.

    Files are sent as a form: each in the input field that it is for, the other fields of the
    input as JSON in `input`.
    """
    body = await read_run(name, request, services, caller)
    run, after = await _start_run(name, body, services, caller, idempotency_key)
    if body.background:
        return json_response(run.as_dict(), 202, {"Location": f"/runs/{run.run_id}"})
    cancel_on_disconnect = body.on_disconnect != "continue"
    if body.stream and not prefers_json(accept):
        return stream_run(run, after, services, caller, cancel_on_disconnect=cancel_on_disconnect)
    receive = request.receive if cancel_on_disconnect else None
    return await wait_for_run(run, services, caller, receive)


async def _start_run(
    name: str,
    body: RunBody,
    services: Services,
    caller: Caller,
    idempotency_key: str | None,
) -> KeyedRun:
    if "resume" in body.model_fields_set:
        return await _answer_thread(name, body, services, caller, idempotency_key)
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
    return KeyedRun(await services.engine.submit(request), 0)


async def _answer_thread(
    name: str,
    body: RunBody,
    services: Services,
    caller: Caller,
    idempotency_key: str | None,
) -> KeyedRun:
    """Answer the run that waits on a thread; an answer that came before with its key is given once.

    Raises `Conflict` (`run_not_waiting`).
    """
    if not body.thread_id:
        raise Invalid(
            "resume needs the thread_id of the run that waits; a run without a thread is "
            "resumed with POST /runs/{run_id}/resume.",
            details={"field": "thread_id"},
        )
    run = services.engine.find_waiting(str(body.thread_id), tenant=caller.tenant)
    key = key_of_answer(caller.tenant, idempotency_key, f"{name} {body.thread_id}", body.resume)
    # In this order: the run has ceased to wait in the moment in which the key is there.
    if key and (answered := await services.engine.find_run_of_key(key)):
        return answered
    if run is None or name not in (run.agent, f"{run.agent}@{run.version}"):
        raise Conflict(
            f"No run of agent '{name}' waits for an answer on thread {body.thread_id}.",
            code="run_not_waiting",
            details={"field": "resume"},
        )
    return await services.engine.resume(run.run_id, body.resume, tenant=caller.tenant, key=key)


def _check_webhook(url: str | None, services: Services) -> None:
    try:
        if url is not None:
            check_post_url(url, services.fetch_limits)
    except Invalid as error:
        # The URL is a secret, also in an answer that some proxy logs.
        shown = f"'{shorten_url(str(url))}'"
        message = error.message.replace(shown, redact_url(str(url)))
        raise Invalid(message, code=error.code, details={"field": "webhook"}) from error


async def _show_saved(agent: Agent, services: Services, caller: Caller) -> dict[str, Any]:
    around = await describe_surroundings(
        services.tools, services.models, services.indexes, caller.tenant
    )
    missing = await asyncio.to_thread(list_missing, agent, around)
    # Callers learn which file it is, not where it lies.
    warnings = [{**each, "file": f"{agent.name}.yaml"} for each in missing]
    shown: dict[str, Any] = await show_agent(agent.name, services, caller)
    return {**shown, "warnings": warnings}


def _summary(agent: Agent) -> dict[str, Any]:
    return {
        "name": agent.name,
        "description": agent.description,
        "origin": agent.origin,
        "version": agent.version,
    }


async def _read_yaml(request: Request) -> str:
    kind = media_type(request)
    if kind == "application/json":
        return (await read_json(request, AgentBody)).yaml
    if kind not in YAML_TYPES:
        raise unsupported(request, "YAML as application/yaml, or JSON as application/json")
    return await read_text(request)
