"""Reads request bodies: JSON strictly, other formats where a route takes them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from config.errors import Invalid

MAX_DEPTH = 100
"""Levels of lists and objects: what is kept for a run is written again, a few levels deeper."""

MAX_INTEGER = 2**53
"""The largest number that every client and the database tell from the next one."""

Offset = Annotated[int, Query(ge=0, le=MAX_INTEGER)]
Body = TypeVar("Body", bound=BaseModel)


class StrictRequest(Request):
    """A request whose JSON is that of the standard: no NaN, no halves of characters."""

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            data = await self.body()
            self._json = orjson.loads(data)
            check_depth(data, self._json)
        return self._json


class StrictRoute(APIRoute):
    """A route for requests with a JSON body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strictly


async def read_json(request: Request, model: type[Body]) -> Body:
    """The body as JSON that fits `model`. Raises `RequestValidationError`, as FastAPI does."""
    data = await request.body()
    try:
        value = orjson.loads(data)
        check_depth(data, value)
        return model.model_validate(value)
    except orjson.JSONDecodeError as error:
        found = {"type": "json_invalid", "loc": ("body", error.pos), "msg": error.msg}
        raise RequestValidationError([found]) from error
    except ValidationError as error:
        listed = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(listed) from error


async def read_text(request: Request) -> str:
    """The body as text. Raises `Invalid` naming the byte that is not UTF-8."""
    try:
        return (await request.body()).decode()
    except UnicodeDecodeError as error:
        raise Invalid(
            f"The body is not UTF-8: byte {error.start} cannot be read.",
            code="malformed_body",
            details={"field": "body", "position": error.start},
        ) from error


def media_type(request: Request) -> str:
    """The body's media type, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def unsupported(request: Request, wanted: str) -> Invalid:
    """The refusal of a body that is of another type than `wanted`."""
    given = media_type(request)
    return Invalid(
        f"The body must be {wanted}; it came {f'as {given!r}' if given else 'without a type'}.",
        code="unsupported_media_type",
        details={"field": "Content-Type"},
    )


def check_depth(data: bytes, value: Any) -> None:
    """Raise `Invalid` where a body's value is nested too deeply to be kept."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        if not inner:
            return
        level = inner
    raise Invalid(
        f"The body is nested more than {MAX_DEPTH} levels deep.",
        code="malformed_body",
        details={"field": "body"},
    )
