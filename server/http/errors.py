"""The one table from error families to HTTP, and the one envelope."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from config.errors import Invalid, MotetError
from runs.events import dumps
from server.http.bodies import unsupported

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
STATUS_OF_CODE: Mapping[str, int] = {
    "malformed_body": 400,
    "too_large": 413,
    "unsupported_media_type": 415,
    "forbidden": 403,
}
_FAMILY_OF_STATUS: Mapping[int, tuple[str, str]] = {
    404: ("not_found", "route_not_found"),
    405: ("invalid", "method_not_allowed"),
}


def status_of(error: Mapping[str, Any]) -> int:
    """The HTTP status for an error in the shape of `MotetError.as_dict`."""
    return STATUS_OF_CODE.get(error["code"]) or STATUS.get(error.get("family", ""), 500)


def error_response(error: MotetError, status: int | None = None) -> Response:
    """The envelope: `error` for programs, `detail` for clients that look for that alone."""
    body = error.as_dict()
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    if error.permanent:
        headers["x-should-retry"] = "false"
    return Response(
        dumps({"error": body, "detail": error.message}),
        status or status_of(body),
        headers,
        media_type="application/json",
    )


def install_error_handlers(app: FastAPI) -> None:
    """Render every failure of a route in the envelope; a foreign one without its traceback."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, MotetError)
        return error_response(error)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        if isinstance(error.body, bytes):  # of a type that no route reads
            return error_response(unsupported(request, "JSON, sent as application/json"))
        return error_response(_explained(error))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, MotetError):  # raised while the body was read
            return error_response(error.__cause__)
        family, code = _FAMILY_OF_STATUS.get(error.status_code, ("invalid", "invalid_request"))
        place = {404: "path", 405: "method"}.get(error.status_code, "body")
        translated = MotetError(_sentence(request, error), code=code, details={"field": place})
        translated.family = family
        response = error_response(translated, error.status_code)
        response.headers.update(error.headers or {})
        return response

    async def foreign(request: Request, error: Exception) -> Response:
        # The HTTP server logs it with its traceback.
        return error_response(
            MotetError("The server failed; its log tells why.", code="internal_error")
        )

    app.add_exception_handler(MotetError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, foreign)


def _sentence(request: Request, error: HTTPException) -> str:
    if error.status_code == 404:
        return f"There is nothing at {request.url.path}."
    if error.status_code == 405:
        return f"{request.url.path} does not take {request.method}."
    return f"The body cannot be read: {error.detail}"


def _explained(error: RequestValidationError) -> Invalid:
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    if first["type"] == "json_invalid":
        where = f"at character {place[-1]}" if len(place) > 1 else ""
        reason = first.get("ctx", {}).get("error", first["msg"])
        return Invalid(
            f"The body is not JSON {where}: {reason}.",
            code="malformed_body",
            details={"field": "body", "position": first["loc"][-1]},
        )
    field = ".".join(place[1:]) or place[0]
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "there is no such field"
    return Invalid(f"{field}: {message}.", details={"field": field, "in": place[0]})
