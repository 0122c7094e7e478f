"""A web page must not reach the service through its reader's browser."""

from __future__ import annotations

import httpx
import orjson
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message

from config.errors import Invalid
from config.settings import load_settings
from server.http.origins import OriginGuard

SERVED = PlainTextResponse("served")
OWN = "http://127.0.0.1:8000"
CONTAINER = "http://172.17.0.2:8000"


async def answer(
    headers: dict[str, str],
    *,
    url: str = OWN,
    method: str = "POST",
    hosts: tuple[str, ...] = (),
    origins: tuple[str, ...] = (),
) -> httpx.Response:
    """Send a request to the address `url`, past a guard with these settings."""
    settings = load_settings(allowed_hosts=hosts, allowed_origins=origins)
    guard = OriginGuard(SERVED, settings.allowed_hosts, settings.allowed_origins)
    transport = httpx.ASGITransport(guard)
    async with httpx.AsyncClient(transport=transport, base_url=url) as client:
        return await client.request(method, "/agents/ask/run", headers=headers)


def assert_refused(response: httpx.Response, field: str) -> None:
    error = orjson.loads(response.content)["error"]
    assert (response.status_code, error["code"]) == (403, "forbidden")
    assert error["details"] == {"field": field}
    setting = "MOTET_ALLOWED_HOSTS" if field == "Host" else "MOTET_ALLOWED_ORIGINS"
    assert setting in error["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost"},
        {"Host": "LOCALHOST:8000"},
        {"Host": "[::1]:8000"},
        {"Host": "127.0.0.1:9000"},
        {"Origin": "http://127.0.0.1:8000"},
        {"Host": "localhost:3000", "Origin": "http://localhost:3000"},
        {"Host": "localhost", "Origin": "http://localhost"},
        {"Host": "localhost", "Origin": "http://localhost:80"},
        {"Host": "[::1]:8000", "Origin": "http://[::1]:8000"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Mode": "cors"},
    ],
    ids=str,
)
async def test_request_from_this_machine_is_served(headers: dict[str, str]) -> None:
    assert (await answer(headers)).text == "served"


async def test_request_without_the_host_that_its_version_demands_is_refused() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    guard = OriginGuard(SERVED, (), ())
    scope = {"type": "http", "method": "GET", "scheme": "http", "headers": []}
    for version in ("1.1", "1.0"):
        await guard({**scope, "http_version": version}, receive, send)

    assert [each["status"] for each in sent if "status" in each] == [400, 200]


@pytest.mark.parametrize("site", ["Cross-Site", " same-site", "somewhere"])
async def test_site_that_is_not_our_own_is_refused_however_it_is_written(site: str) -> None:
    assert_refused(await answer({"Sec-Fetch-Site": site}), "Sec-Fetch-Site")


@pytest.mark.parametrize("url", [OWN, CONTAINER])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8000"},
        {"Host": "localhost@evil.example"},
        {"Host": "evil.example@localhost"},
        {"Host": "192.168.0.5:8000"},
        {"Host": "motet"},
        {"Host": "motet:8000"},
        {"Host": "localhost:port"},
        {"Host": "localhost/"},
        {"Host": ""},
        {"Host": "[::1"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1:8001"},
        {"Origin": "https://127.0.0.1:8000"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://motet"},
        {"Origin": "http://localhost.evil.example:8000"},
        {"Origin": "http://localhost@evil.example"},
        {"Origin": "http://127.0.0.1:8000/"},
        {"Origin": "null"},
        {"Origin": "file://"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
async def test_request_from_a_page_of_another_site_is_refused(
    headers: dict[str, str], url: str
) -> None:
    """In a container too, where the address that is reached is not the host's loopback."""
    assert_refused(await answer(headers, url=url), next(iter(headers)))


async def test_every_header_is_looked_at_where_one_comes_twice() -> None:
    guard = OriginGuard(SERVED, (), ())
    sent: list[Message] = []
    headers = [(b"host", b"localhost:8000"), (b"host", b"evil.example")]

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/", "scheme": "http", "headers": headers}
    await guard({**scope, "server": ("127.0.0.1", 8000)}, receive, send)

    assert sent[0]["status"] == 403


@pytest.mark.parametrize(
    ("address", "host"),
    [("172.17.0.2", "172.17.0.2:8000"), ("::ffff:10.0.0.7", "10.0.0.7"), ("fd00::2", "[fd00::2]")],
)
async def test_the_address_that_was_reached_is_a_name_of_ours(address: str, host: str) -> None:
    """No name can be rebound to it: a page that asks for an address is of that address."""
    url = f"http://[{address}]:8000" if ":" in address else f"http://{address}:8000"
    assert (await answer({"Host": host}, url=url)).text == "served"


@pytest.mark.parametrize(("host", "served"), [("motet", True), ("evil.example", False)])
async def test_motet_is_the_name_of_a_unix_socket(host: str, served: bool) -> None:
    """httpx tells no port for `http://motet`, as uvicorn tells none for a socket."""
    response = await answer({"Host": host}, url="http://motet")
    assert response.is_success is served


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_person_may_follow_a_link_from_another_site(method: str) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}

    followed = await answer({**link, "Sec-Fetch-Dest": "document"}, method=method)
    framed = await answer({**link, "Sec-Fetch-Dest": "iframe"}, method=method)
    posted = await answer({**link, "Sec-Fetch-Dest": "document"}, method="POST")

    assert (followed.status_code, framed.status_code, posted.status_code) == (200, 403, 403)


async def test_allowed_host_is_served_by_its_name_alone() -> None:
    hosts = ("motet.example", "MOTET.lan")
    for name in ("motet.example", "motet.example:8443", "motet.lan"):
        assert (await answer({"Host": name}, hosts=hosts)).text == "served"
    assert_refused(await answer({"Host": "other.example"}, hosts=hosts), "Host")
    assert_refused(await answer({"Host": "a.motet.example"}, hosts=hosts), "Host")


async def test_allowed_origin_is_one_scheme_host_and_port() -> None:
    origins = ("https://motet.example/", "http://localhost:3000", "chrome-extension://abcdef")
    for origin in (
        "https://motet.example",
        "https://motet.example:443",
        "chrome-extension://abcdef",
    ):
        headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
        assert (await answer(headers, origins=origins)).text == "served"
    for origin in ("http://motet.example", "https://motet.example:8443", "http://localhost:3001"):
        assert_refused(await answer({"Origin": origin}, origins=origins), "Origin")


@pytest.mark.parametrize("origin", ["null", "*", "https://*", "motet.example", "https://a/b", ""])
def test_origin_that_any_page_could_have_cannot_be_allowed(origin: str) -> None:
    with pytest.raises(Invalid) as caught:
        load_settings(allowed_origins=[origin])
    assert "allowed-origins" in caught.value.message
    assert "origin" in caught.value.message


@pytest.mark.parametrize("host", ["*", "https://motet.example", "motet.example:8000", ""])
def test_host_that_is_no_name_cannot_be_allowed(host: str) -> None:
    with pytest.raises(Invalid, match="host name"):
        load_settings(allowed_hosts=[host])
