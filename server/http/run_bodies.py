"""The body of a request to run an agent: JSON, or a form with files."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ConfigDict, Field
from starlette.datastructures import FormData

from config.json_values import parse_json
from runs.record import MultitaskStrategy, OnDisconnect
from server.http.access import Caller
from server.http.bodies import (
    StrictBody,
    check_shape,
    media_type,
    read_json,
    unsupported,
    validate_body,
)
from server.http.openapi import request_body
from server.http.uploads import has_data_urls, read_file_form, read_form_input, store_data_urls
from server.services import Services


class RunBody(StrictBody):
    """How to run an agent. Streaming is the default."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"input": {"question": "How do I start the service?"}}]},
    )

    input: Any = Field(
        None,
        description="What the agent's input schema asks for. Null, or none: a run on a thread goes "
        "on with the steps that are left there. `{}` begins anew.",
    )
    thread_id: UUID | None = Field(None, description="The conversation to run on.")
    if_not_exists: Literal["reject", "create"] = Field(
        "reject", description="What to do about a thread that does not exist."
    )
    checkpoint_id: str | None = Field(
        None, min_length=1, description="Start from this point of the thread's history."
    )
    resume: Any = Field(
        None, description="The answer for the run that waits on `thread_id`, which then goes on."
    )
    stream: bool = Field(True, description="false: answer once, with the final output.")
    background: bool = Field(False, description="Answer 202 at once, with the run's address.")
    multitask_strategy: MultitaskStrategy = Field(
        "enqueue", description="What to do about a run under way on the same thread."
    )
    on_disconnect: OnDisconnect | None = Field(
        None,
        description="When the client leaves. Default: `cancel`, for a background run `continue`.",
    )
    webhook: str | None = Field(None, description="URL that is told of the run's end.")
    metadata: dict[str, Any] = Field(default_factory=dict)


FORM = {
    "type": "object",
    "properties": {
        "input": {"type": "string", "description": "The input's other fields, as JSON."},
        **{
            name: {"type": "string", "description": field.description or ""}
            for name, field in RunBody.model_fields.items()
            if name != "input"
        },
    },
    "additionalProperties": {"type": "string", "format": "binary"},
}
RUN_BODY = request_body(json=RunBody, form=FORM, required=True)


async def read_run(name: str, request: Request, services: Services, caller: Caller) -> RunBody:
    """Read how an agent shall run; the files that the request brings are stored as artifacts.

    Raises `RequestValidationError`, and `Invalid` naming the field of a file that is none.
    """
    if media_type(request) == "multipart/form-data":
        schema = (await services.engine.agents.find(name)).input_schema
        async with read_file_form(request) as uploaded:
            body = _parse_fields(uploaded.form, {each.field for each in uploaded.files})
            values = await read_form_input(uploaded, schema, services, caller)
            return body.model_copy(update={"input": values})
    if media_type(request) != "application/json":
        raise unsupported(request, "JSON as application/json, or files as multipart/form-data")
    if not await request.body():
        missing = {"type": "missing", "loc": ("body",), "msg": "Field required"}
        raise RequestValidationError([missing])
    body = await read_json(request, RunBody)
    if not has_data_urls(body.input):
        return body
    schema = (await services.engine.agents.find(name)).input_schema
    values = await store_data_urls(body.input, schema, services, caller)
    return body.model_copy(update={"input": values})


def _parse_fields(form: FormData, files: set[str]) -> RunBody:
    """Parse the fields of a form that say how to run: each as JSON, or as the text that it is."""
    fields = {
        name: _parse_value(name, value)
        for name, value in form.multi_items()
        if isinstance(value, str) and name != "input" and name not in files
    }
    return validate_body(RunBody, fields)


def _parse_value(name: str, text: str) -> Any:
    check_shape(text.encode())
    try:
        return parse_json(text, name)
    except orjson.JSONDecodeError:
        return text
