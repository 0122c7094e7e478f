"""Owns how errors come out over HTTP: the table from families to statuses, and the envelope.

Routes raise `MotetError`s and know nothing of statuses. Invariant: every response that is not a
success has the envelope, also those that FastAPI or a middleware gives.
"""

from __future__ import annotations

import logging
import math
import re
import secrets
import sqlite3
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match

from config.errors import Invalid, MotetError, NotFound, Unavailable
from config.files import REASONS, storage_error
from runs.database import is_refusal
from runs.events import dumps
from server.http.bodies import unsupported

log = logging.getLogger(__name__)

TYPE_NAME = re.compile(r"[a-z]+(?:-[a-z]+)+|[a-z]+\[.*\]|[A-Z][A-Za-z]+|str|int|float|bool")
"""How Pydantic calls the types of a field that takes several, within the path of an error."""
EXPECTED = "Input should be "

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

STATUS: Mapping[str, int] = {
    "invalid": 422,
    "not_found": 404,
    "conflict": 409,
    "busy": 429,
    "unavailable": 503,
    "timed_out": 504,
    "cancelled": 409,
    "internal": 500,
}
"""HTTP status by family."""

STATUS_OF_CODE: Mapping[str, int] = {
    "malformed_body": 400,
    "forbidden": 403,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "body_timed_out": 408,
    "precondition_failed": 412,
    "too_large": 413,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "expectation_failed": 417,
}
"""Codes for which HTTP has a more precise status than their family's."""


def status_of(error: Mapping[str, Any]) -> int:
    """Choose the HTTP status for an error in the shape of `MotetError.as_dict`."""
    return STATUS_OF_CODE.get(error["code"]) or STATUS.get(error.get("family", ""), 500)


def error_response(error: MotetError, status: int | None = None) -> Response:
    """Render the envelope: `error` for programs, `detail` for clients that look for that alone."""
    body = error.as_dict()
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    if error.code == "range_not_satisfiable":
        headers["Content-Range"] = f"bytes */{error.details['size_bytes']}"
    if error.permanent:
        headers["x-should-retry"] = "false"
    return Response(
        dumps({"error": body, "detail": body["message"]}),
        status or status_of(body),
        headers,
        media_type="application/json",
    )


def install_error_handlers(app: FastAPI) -> None:
    """Render every failure of a route in the envelope; a foreign one without its traceback."""
    app.add_exception_handler(MotetError, _render_own)
    app.add_exception_handler(RequestValidationError, _render_invalid_request)
    app.add_exception_handler(HTTPException, _render_framework_error)
    app.add_exception_handler(ClientDisconnect, _log_left)
    app.add_exception_handler(OSError, _render_storage_error)
    app.add_exception_handler(sqlite3.Error, _render_database_error)
    app.add_exception_handler(Exception, _render_unexpected)


async def _render_own(request: Request, error: Exception) -> Response:
    assert isinstance(error, MotetError)
    return error_response(error)


async def _render_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # FastAPI hands on the raw body where its media type is one that no route reads.
    if isinstance(error.body, bytes):
        return error_response(unsupported(request, "JSON, sent as application/json"))
    return error_response(_explain(error))


async def _render_framework_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    # Reading the body raised one of our errors, which the framework took for a broken body.
    if isinstance(error.__cause__, MotetError):
        return error_response(error.__cause__)
    response = error_response(_translate(request, error), error.status_code)
    response.headers.update(error.headers or {})
    if error.status_code == 405:
        allow = {"Allow": ", ".join(_allowed_methods(request))}
        # No route has a method for it: what each path takes is all that there is to tell.
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=allow)
        response.headers.update(allow)
    return response


async def _log_left(request: Request, error: Exception) -> Response:
    """Log that the client left before its body was whole; nobody reads the answer."""
    log.info("%s %s: the client left", request.method, request.url.path)
    return error_response(Invalid("The body is not whole.", code="malformed_body"))


async def _render_storage_error(request: Request, error: Exception) -> Response:
    """Render what a disk refused to code that does not explain it, such as a spooled upload's."""
    assert isinstance(error, OSError)
    if error.errno not in REASONS:
        raise error  # it was no disk: a fault of ours
    return error_response(storage_error(error, "A file of this request", "read or written"))


async def _render_database_error(request: Request, error: Exception) -> Response:
    """Render what the database of runs refused to a reader; writers explain it themselves."""
    if not is_refusal(error):
        raise error
    log.error("%s %s: %s", request.method, request.url.path, error)
    return error_response(
        Unavailable("The database of runs cannot be read now.", code="run_storage_failed")
    )


async def _render_unexpected(request: Request, error: Exception) -> Response:
    """Render a fault of ours; the HTTP server logs its traceback behind the incident's line."""
    incident = secrets.token_hex(4)
    log.error("incident %s: %s %s failed", incident, request.method, request.url.path)
    return error_response(
        MotetError("The server failed; its log tells why.", details={"incident": incident})
    )


def _allowed_methods(request: Request) -> list[str]:
    """List what a path takes: each of its methods is a route of its own."""
    scope = {"type": "http", "path": request.scope["path"], "root_path": "", "headers": []}
    routed = [
        method
        for method in METHODS
        if any(
            # Each GET route answers HEAD too.
            route.matches({**scope, "method": "GET" if method == "HEAD" else method})[0]
            is Match.FULL
            for route in request.app.routes
        )
    ]
    return [*routed, "OPTIONS"]


def _translate(request: Request, error: HTTPException) -> MotetError:
    """Say in our words what FastAPI or Starlette refused, and where: path, method or body."""
    match error.status_code:
        case 404:
            return NotFound(
                f"There is nothing at {request.url.path}.",
                code="route_not_found",
                details={"field": "path"},
            )
        case 405:
            return Invalid(
                f"{request.url.path} does not take {request.method}.",
                code="method_not_allowed",
                details={"field": "method"},
            )
        case _:
            return Invalid(f"The body cannot be read: {error.detail}", details={"field": "body"})


def _explain(error: RequestValidationError) -> Invalid:
    """Say what is wrong with the first field that FastAPI complains of, and where it is."""
    first, *others = error.errors()
    location = _locate(first)
    if first["type"] == "json_invalid":
        where = f"at character {location[-1]}" if len(location) > 1 else ""
        reason = first.get("ctx", {}).get("error", first["msg"])
        return Invalid(
            f"The body is not JSON {where}: {reason}.",
            code="malformed_body",
            details={"field": "body", "position": first["loc"][-1]},
        )
    field = ".".join(location[1:]) or location[0]
    # Of a field of several types each of them says why it does not fit.
    reasons = [each["msg"] for each in (first, *others) if _locate(each) == location]
    message = " or ".join([reasons[0], *(each.removeprefix(EXPECTED) for each in reasons[1:])])
    message = message.removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "there is no such field"
    return Invalid(f"{field}: {message}.", details={"field": field, "in": location[0]})


def _locate(error: Mapping[str, Any]) -> list[str]:
    """Say where an error is: the place, then the path, without the names that types have there."""
    origin, *path = map(str, error["loc"])
    return [origin, *path[:1], *(part for part in path[1:] if not TYPE_NAME.fullmatch(part))]
