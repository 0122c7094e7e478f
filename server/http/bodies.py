"""Requests read strictly: parameters, bodies of JSON, other formats where a route takes them.

What a body means is said where its route is, in `run_bodies` or in `ingest_requests`; its size is
bounded before, by `limits`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Query, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from config.errors import Invalid, nearest
from config.json_values import parse_json
from config.validation_words import refuse_bool_as_number

MAX_DEPTH = 100
"""Levels of lists and objects: a run's input is stored a few levels deeper, and read again."""

MAX_INTEGER = 2**53
"""The largest number that JavaScript clients and SQLite tell from the next one."""

MAX_PARTS = 150_000
"""Lists, objects and fields in all: parsing takes up to half a microsecond for each, on the loop,
where a text or a number takes a tenth of that."""

SHOWN = 100
"""Characters of an unknown name that an error repeats."""

TO_SQUARE = bytes.maketrans(b"{}", b"[]")
RUNS = re.compile(rb"\[+|\]+")
FLAT_LEVELS = 8
NO_MARKS = bytes(each for each in range(256) if each not in b'[]{}:"')

Offset = Annotated[int, Query(ge=0, le=MAX_INTEGER)]
Body = TypeVar("Body", bound=BaseModel)


Texts = Annotated[list[str], Field(fail_fast=True)]
"""A list of texts. Of very many wrong ones the first is told, and no error is made of the rest."""


class StrictBody(BaseModel):
    """The model of a body that has no other fields than these."""

    model_config = ConfigDict(extra="forbid")

    _check_numbers = field_validator("*", mode="wrap")(refuse_bool_as_number)

    @model_validator(mode="before")
    @classmethod
    def _keep_one_unknown(cls, value: Any) -> Any:
        # An error for each of very many unknown fields takes seconds, and only the first is told.
        if not isinstance(value, dict) or len(value) <= len(cls.model_fields) + 1:
            return value
        unknown = next(name for name in value if name not in cls.model_fields)
        return {name: each for name, each in value.items() if name in cls.model_fields} | {
            unknown: value[unknown]
        }


class StrictRequest(Request):
    """A request whose JSON is that of the standard: no NaN, no halves of surrogate pairs."""

    async def json(self) -> Any:
        """Parse the body once. Raises as `parse_body` does."""
        if not hasattr(self, "_json"):
            self._json = parse_body(await self.body())
        return self._json


class StrictRoute(APIRoute):
    """A route that takes no other parameters than its own, and JSON of the standard."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Hand a strict request to FastAPI's own handler."""
        handle = super().get_route_handler()
        known = _list_parameters(self.dependant)

        async def handle_strictly(request: Request) -> Response:
            check_parameters(request, known)
            return await handle(StrictRequest(request.scope, request.receive))

        return handle_strictly


def check_parameters(request: Request, known: list[str]) -> None:
    """Check that the query names nothing but `known`. Raises `Invalid` with the nearest name."""
    for name in request.query_params:
        if name not in known:
            hint = nearest(name, known) if known else "This route takes none."
            raise Invalid(
                f"{name[:SHOWN]}: there is no such parameter. {hint}",
                details={"field": name[:SHOWN], "in": "query"},
            )


def _list_parameters(dependant: Dependant) -> list[str]:
    """List the parameters of the query that a route and its dependencies take."""
    own = [field.alias for field in dependant.query_params]
    return own + [name for each in dependant.dependencies for name in _list_parameters(each)]


async def read_json(request: Request, model: type[Body]) -> Body:
    """Read the body as JSON that fits `model`. Raises `RequestValidationError`, as FastAPI does."""
    try:
        value = parse_body(await request.body())
    except orjson.JSONDecodeError as error:
        problem = {"type": "json_invalid", "loc": ("body", error.pos), "msg": error.msg}
        raise RequestValidationError([problem]) from error
    return validate_body(model, value)


def validate_body(model: type[Body], value: Any) -> Body:
    """Check a value against `model`. Raises `RequestValidationError`, as FastAPI does."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(problems) from error


def parse_json_object(text: Any, field: str) -> dict[str, Any]:
    """Parse a form's field that holds a JSON object; {} where it is empty. Raises `Invalid`."""
    check_shape(str(text).encode())
    try:
        value = parse_json(text, field) if isinstance(text, str) and text else {}
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise Invalid(f"{field} is no JSON object.", details={"field": field})
    return value


async def read_text(request: Request) -> str:
    """Read the body as text. Raises `Invalid` (`malformed_body`) naming the first wrong byte."""
    try:
        return (await request.body()).decode()
    except UnicodeDecodeError as error:
        raise Invalid(
            f"The body is not UTF-8: byte {error.start} cannot be read.",
            code="malformed_body",
            details={"field": "body", "position": error.start},
        ) from error


def media_type(request: Request) -> str:
    """Read the body's media type from its header, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def unsupported(request: Request, expected: str) -> Invalid:
    """Make the error for a body that is of another type than `expected`."""
    sent = media_type(request)
    return Invalid(
        f"The body must be {expected}; it came {f'as {sent!r}' if sent else 'without a type'}.",
        code="unsupported_media_type",
        details={"field": "Content-Type"},
    )


def parse_body(data: bytes) -> Any:
    """Parse a body of JSON. Raises as `check_shape` and `parse_json` do."""
    check_shape(data)
    return parse_json(data)


def check_shape(data: bytes) -> None:
    """Check that JSON is neither too deep to be stored nor of too many parts for the event loop.

    Reads the marks alone, without a step of Python for each value, and needs no valid JSON. Raises
    `Invalid`: `malformed_body` for the depth, `too_large` for the parts.
    """
    # Most bodies have fewer brackets than levels are allowed.
    brackets = data.count(b"[") + data.count(b"{")
    if brackets <= MAX_DEPTH and brackets + data.count(b":") <= MAX_PARTS:
        return
    marks = _marks_outside_texts(data)
    if len(marks) - marks.count(b"]") - marks.count(b"}") > MAX_PARTS:
        raise Invalid(
            f"The body holds more than {MAX_PARTS} lists, objects and fields in all. "
            "Send so much as a file, or in several requests.",
            code="too_large",
            details={"field": "body"},
        )
    if _depth(marks.translate(TO_SQUARE, b":")) > MAX_DEPTH:
        raise Invalid(
            f"The body is nested more than {MAX_DEPTH} levels deep.",
            code="malformed_body",
            details={"field": "body"},
        )


def _marks_outside_texts(data: bytes) -> bytes:
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = data.translate(None, NO_MARKS).replace(b'""', b"")
    return b"".join(marks.split(b'"')[::2])


def _depth(brackets: bytes) -> int:
    """Return how deep brackets are nested, up to `FLAT_LEVELS` too deep."""
    # Each round takes away the innermost level everywhere; what is left of it has long runs.
    for _ in range(FLAT_LEVELS):
        brackets = brackets.replace(b"[]", b"")
    level = deepest = 0
    for run in RUNS.findall(brackets):
        level += len(run) if run.startswith(b"[") else -len(run)
        deepest = max(deepest, level)
    return deepest + FLAT_LEVELS
