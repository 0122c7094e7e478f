"""One table from families to HTTP, one envelope."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import httpx
import orjson
import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

from config.errors import (
    Busy,
    Cancelled,
    Conflict,
    Invalid,
    MotetError,
    NotFound,
    TimedOut,
    Unavailable,
)
from server.http.bodies import Offset
from server.http.errors import error_response, install_error_handlers, status_of

FAMILIES = {
    Invalid: 422,
    NotFound: 404,
    Conflict: 409,
    Busy: 429,
    Unavailable: 503,
    TimedOut: 504,
    Cancelled: 409,
    MotetError: 500,
}


class Lifetime(BaseModel):
    """One of the types of a field."""

    minutes: int


class Several(BaseModel):
    """Fields of several types."""

    point: dict[str, Any] | Annotated[str, Field(min_length=1)] | None = None
    ttl: Annotated[float, Field(gt=0)] | Lifetime | None = None


def failing(error: Exception) -> Callable[[], Any]:
    def fail() -> None:
        raise error

    return fail


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install_error_handlers(app)
    app.add_api_route("/ours", failing(Conflict("It is taken.", details={"field": "name"})))
    app.add_api_route("/foreign", failing(ValueError("the password is 1234")))
    app.add_api_route("/http", failing(HTTPException(400, "Missing boundary")))

    async def page(offset: Offset = 0) -> int:
        return offset

    async def several(body: Several) -> None:
        pass

    app.add_api_route("/page", page)
    app.add_api_route("/several", several, methods=["POST"])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize(("family", "status"), FAMILIES.items())
def test_every_family_has_its_status(family: type[MotetError], status: int) -> None:
    response = error_response(family("It is so."))
    body = orjson.loads(response.body)
    assert response.status_code == status_of(body["error"]) == status
    assert body == {
        "error": {"code": family.default_code, "family": family.family, "message": "It is so."},
        "detail": "It is so.",
    }


@pytest.mark.parametrize(
    ("code", "status"),
    [("malformed_body", 400), ("too_large", 413), ("unsupported_media_type", 415)],
)
def test_some_codes_have_a_status_of_their_own(code: str, status: int) -> None:
    assert error_response(Invalid("No.", code=code)).status_code == status


def test_error_response_sets_retry_after_or_forbids_retries() -> None:
    busy = error_response(Busy("Later.", retry_after_s=0.2))
    assert busy.headers["retry-after"] == "1"
    assert "x-should-retry" not in busy.headers
    never = error_response(Unavailable("It never fits.", permanent=True))
    assert never.headers["x-should-retry"] == "false"


async def test_our_errors_keep_their_details(client: httpx.AsyncClient) -> None:
    response = await client.get("/ours")
    assert (response.status_code, response.json()["error"]) == (
        409,
        {
            "code": "conflict",
            "family": "conflict",
            "message": "It is taken.",
            "details": {"field": "name"},
        },
    )


async def test_unexpected_exception_is_rendered_without_its_text(client: httpx.AsyncClient) -> None:
    response = await client.get("/foreign")
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
    assert "1234" not in response.text
    assert "Traceback" not in response.text


async def test_a_framework_error_is_in_the_envelope_too(client: httpx.AsyncClient) -> None:
    error = (await client.get("/http")).json()["error"]
    assert (error["family"], error["details"]) == ("invalid", {"field": "body"})
    assert "Missing boundary" in error["message"]
    missing = await client.get("/nowhere")
    assert missing.json()["error"]["details"] == {"field": "path"}
    wrong = await client.post("/page")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"point": 5}, "point", "Input should be a valid dictionary or a valid string."),
        ({"ttl": []}, "ttl", "Input should be a valid number"),
        ({"ttl": {"minutes": "x"}}, "ttl", "Input should be a valid number."),
    ],
)
async def test_field_of_several_types_is_named_without_their_names(
    client: httpx.AsyncClient, body: Any, field: str, message: str
) -> None:
    error = (await client.post("/several", json=body)).json()["error"]

    assert error["details"] == {"field": field, "in": "body"}
    assert error["message"].startswith(f"{field}: {message}")
    assert "Lifetime" not in error["message"]


async def test_a_parameter_is_named_with_its_place(client: httpx.AsyncClient) -> None:
    error = (await client.get("/page", params={"offset": "soon"})).json()["error"]
    assert error["details"] == {"field": "offset", "in": "query"}
    assert error["message"].startswith("offset: ")
