"""Bodies are bounded before they are read, and read strictly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import orjson
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError

from config.errors import Invalid
from server.http.bodies import (
    MAX_DEPTH,
    MAX_PARTS,
    StrictBody,
    StrictRoute,
    Texts,
    check_shape,
    read_json,
    read_text,
    validate_body,
)
from server.http.errors import install_error_handlers
from server.http.limits import BodyLimit

BOUND, UPLOAD_BOUND = 1000, 5000
JSON = {"Content-Type": "application/json"}


class Note(BaseModel):
    text: Any


def find_caller(tenant: str = "local") -> str:
    return tenant


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    router = APIRouter(route_class=StrictRoute)

    @router.post("/note")
    async def note(note: Note) -> Any:
        return note.text

    @router.post("/read")
    async def read(request: Request) -> Any:
        return (await read_json(request, Note)).text

    @router.post("/text")
    async def text(request: Request) -> str:
        return await read_text(request)

    @router.get("/page")
    async def page(caller: Annotated[str, Depends(find_caller)], limit: int = 5) -> str:
        return f"{caller}: {limit}"

    app = FastAPI()
    app.include_router(router)
    app.add_middleware(BodyLimit, max_body_bytes=BOUND, max_upload_bytes=UPLOAD_BOUND)
    install_error_handlers(app)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize("path", ["/note", "/read"])
@pytest.mark.parametrize("value", [1, "text", None, [1.5, {"a": True}], "ünï\0code 🎵"])
async def test_json_is_read(client: httpx.AsyncClient, path: str, value: Any) -> None:
    response = await client.post(path, json={"text": value})
    assert response.json() == value


@pytest.mark.parametrize("path", ["/note", "/read"])
@pytest.mark.parametrize(
    ("content", "position"),
    [
        (b'{"text": ', 9),
        (b'{"text": NaN}', 9),
        (b'{"text": Infinity}', 9),
        (b'{"text": 1e999}', 9),
        (b'{"text": "\\ud800"}', 10),
        (b'{"text": 01}', 10),
        (b"{'text': 1}", 1),
    ],
)
async def test_malformed_json_is_refused_with_its_position(
    client: httpx.AsyncClient, path: str, content: bytes, position: int
) -> None:
    response = await client.post(path, content=content, headers=JSON)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "malformed_body")
    assert error["details"]["field"] == "body"
    assert abs(error["details"]["position"] - position) <= 2
    assert f"at character {error['details']['position']}" in error["message"]


@pytest.mark.parametrize("path", ["/note", "/read"])
@pytest.mark.parametrize("number", ["9223372036854775808", "-9223372036854775809", "1" * 30])
async def test_whole_number_that_would_lose_digits_is_refused_with_its_field(
    client: httpx.AsyncClient, path: str, number: str
) -> None:
    content = f'{{"text": [{{"n": {number}}}]}}'.encode()

    response = await client.post(path, content=content, headers=JSON)

    assert response.status_code == 422
    assert response.json()["error"]["details"]["field"] == "text.0.n"


@pytest.mark.parametrize("path", ["/note", "/read"])
@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), "1" * 30, 1234567890123456789.5, -0.0])
async def test_numbers_of_64_bits_and_digits_in_texts_are_read_exactly(
    client: httpx.AsyncClient, path: str, value: Any
) -> None:
    response = await client.post(path, json={"text": value})

    assert repr(response.json()) == repr(value)


@pytest.mark.parametrize("path", ["/note", "/read"])
async def test_depth_is_bounded(client: httpx.AsyncClient, path: str) -> None:
    def nested(levels: int) -> bytes:
        return b'{"text": ' + b"[" * levels + b"]" * levels + b"}"

    deep = await client.post(path, content=nested(MAX_DEPTH - 1), headers=JSON)
    assert deep.status_code == 200
    deeper = await client.post(path, content=nested(MAX_DEPTH + 1), headers=JSON)
    assert (deeper.status_code, deeper.json()["error"]["code"]) == (400, "malformed_body")


LISTS = b",".join([b"[]"] * MAX_PARTS)
FIELDS = b",".join([b'"a":1'] * MAX_PARTS)


@pytest.mark.parametrize("part", [b"[" + LISTS + b"]", b"{" + FIELDS + b"}"])
def test_lists_objects_and_fields_are_bounded_in_number(part: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        check_shape(part)

    assert caught.value.code == "too_large"


def test_marks_within_texts_are_not_counted() -> None:
    check_shape(orjson.dumps({"text": '[{":' * MAX_PARTS, '"\\': ":" * MAX_PARTS}))
    check_shape(b"[" + b"1," * MAX_PARTS * 10 + b"1]")


def nest(levels: int) -> Any:
    """Lists and objects in turn, with texts that look like brackets."""
    value: Any = ']}"\\'
    for level in range(levels):
        value = {'[{"': value, "\\": "]}"} if level % 2 else ["[", '\\"[', value, "]]"]
    return value


@pytest.mark.parametrize("value", [[[]] * 10_000, [nest(9)] * 500, ["[" * 500], nest(MAX_DEPTH)])
def test_wide_body_and_brackets_in_texts_pass_the_depth_check(value: Any) -> None:
    check_shape(orjson.dumps(value))


@pytest.mark.parametrize("value", [nest(MAX_DEPTH + 1), [{}, {"a": [nest(MAX_DEPTH)]}]])
def test_depth_is_counted_through_texts_that_look_like_brackets(value: Any) -> None:
    with pytest.raises(Invalid, match="nested more than"):
        check_shape(orjson.dumps(value))


class NoteBody(StrictBody):
    text: str = ""
    tags: Texts | None = None


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({f"k{number}": 1 for number in range(20_000)}, "k0"),
        ({"text": "x", "wrong": 1, **{f"k{number}": 1 for number in range(20_000)}}, "wrong"),
        ({"tags": [1] * 100_000}, "tags"),
    ],
    ids=["fields", "fields beside one that is known", "items"],
)
def test_of_very_many_errors_one_is_made(value: Any, field: str) -> None:
    with pytest.raises(RequestValidationError) as caught:
        validate_body(NoteBody, value)
    (error,) = caught.value.errors()
    assert error["loc"][1] == field


async def test_the_field_of_a_wrong_body_is_named(client: httpx.AsyncClient) -> None:
    for path in ("/note", "/read"):
        error = (await client.post(path, json={"txt": 1})).json()["error"]
        assert error["details"] == {"field": "text", "in": "body"}


async def test_body_of_an_unsupported_media_type_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/note", content=b'{"text": 1}', headers={"Content-Type": "a/b"})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (415, "unsupported_media_type")
    assert "'a/b'" in error["message"]
    assert "application/json" in error["message"]


async def test_text_must_be_utf8(client: httpx.AsyncClient) -> None:
    error = (await client.post("/text", content=b"ab\xff")).json()["error"]
    assert (error["code"], error["details"]["position"]) == ("malformed_body", 2)


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "in chunks"])
@pytest.mark.parametrize(
    ("media_type", "bound"),
    [("application/json", BOUND), ("multipart/form-data; boundary=B", UPLOAD_BOUND)],
)
async def test_bodies_are_bounded_whether_they_say_their_size_or_not(
    client: httpx.AsyncClient, declared: bool, media_type: str, bound: int
) -> None:
    async def chunks(size: int) -> AsyncIterator[bytes]:
        for start in range(0, size, 100):
            yield b"x" * min(100, size - start)

    def content(size: int) -> Any:
        return b"x" * size if declared else chunks(size)

    headers = {"Content-Type": media_type}
    fits = await client.post("/text", content=content(bound), headers=headers)
    assert len(fits.json()) == bound
    refused = await client.post("/text", content=content(bound + 1), headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "too_large")
    assert str(bound) in refused.json()["error"]["message"]


class Numbers(StrictBody):
    days: float | None = None
    limit: int = Field(10, ge=1)
    whether: bool = False
    anything: Any = None


@pytest.mark.parametrize("field", ["days", "limit"])
def test_true_is_no_number_of_a_body(field: str) -> None:
    with pytest.raises(ValidationError, match="must be a number, not true or false"):
        Numbers.model_validate({field: True})


def test_numbers_and_truth_values_of_a_body_are_themselves() -> None:
    body = {"days": 1, "limit": 2, "whether": True, "anything": True}
    assert Numbers.model_validate(body).model_dump() == body


@pytest.mark.parametrize(
    ("query", "field", "hint"),
    [
        ("limt=3", "limt", "Did you mean 'limit'?"),
        ("limit=3&nosuch=1", "nosuch", "Known: limit, tenant."),
        ("x" * 30_000, "x" * 100, "Known: limit, tenant."),
    ],
)
async def test_unknown_parameter_is_refused_with_the_nearest_name(
    client: httpx.AsyncClient, query: str, field: str, hint: str
) -> None:
    response = await client.get(f"/page?{query}")

    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (422, "invalid_request")
    assert error["message"] == f"{field}: there is no such parameter. {hint}"
    assert error["details"] == {"field": field, "in": "query"}


async def test_parameters_of_a_route_and_of_what_it_depends_on_are_taken(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/page?limit=3&tenant=other")

    assert response.json() == "other: 3"


async def test_route_without_parameters_refuses_each(client: httpx.AsyncClient) -> None:
    response = await client.post("/note?text=x", json={"text": "y"})

    assert "text: there is no such parameter. This route takes none." in response.text
