"""A request on a connection that its server has closed is sent once more, on a new one."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import httpx
import httpx2
import pytest
import uvloop

from config.lost_connections import translate_lost
from config.settings import load_settings
from models.backends.common.transports import TransportFactory, find_proxy
from models.backends.ollama.driver import OllamaDriver
from models.backends.openai.driver import OpenAIDriver
from models.capabilities import CaptionRequest, ImageRequest, SpeechRequest, TranscribeRequest
from models.catalog.spec import ModelSpec
from models.driver import Driver, DriverContext
from models.lease import ModelSource
from models.scheduling.requirement import MemoryRequirement
from tests.models.backends.contracts.caption import picture
from tests.support.ollama import Ollama
from tests.support.openai import OpenAIDouble
from tests.support.resetting_server import resetting_server
from tests.support.stale_relay import stale_relay

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"


class FickleServer:
    """Does with each request what comes next in `plan`.

    "leave" answers and closes the connection then; "half" closes it within the answer; "drop" and
    "reset" close it without a byte; "silence" waits until the client does. `received` holds the
    number of the connection and the body.
    """

    def __init__(self, *plan: str) -> None:
        self.url = ""
        self.received: list[tuple[int, bytes]] = []
        self.closed = asyncio.Event()
        self._plan = list(plan)
        self._connections = 0

    async def attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self._connections = self._connections, self._connections + 1
        try:
            while await self._answer(number, reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.closed.set()

    async def _answer(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        self.received.append((number, await reader.readexactly(length)))
        action = self._plan.pop(0)
        if action == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if action == "silence":
            await reader.read()
        writer.write({"answer": ANSWER, "leave": ANSWER, "half": HALF}.get(action, b""))
        await writer.drain()
        return action == "answer"


@asynccontextmanager
async def fickle_server(*plan: str) -> AsyncIterator[FickleServer]:
    server = FickleServer(*plan)
    listening = await asyncio.start_server(server.attend, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        yield server


Post = Callable[[Any], Awaitable[Any]]


@asynccontextmanager
async def posting(library: Any, kind: str, url: str) -> AsyncIterator[Post]:
    """Post bodies to `url` with a client of that kind."""
    factory = TransportFactory(library, url)
    if kind == "asynchronous":
        async with library.AsyncClient(transport=factory.make("AsyncHTTPTransport")) as client:
            yield lambda body: client.post(url, content=body)
    else:
        with library.Client(transport=factory.make("HTTPTransport")) as blocking:
            yield lambda body: asyncio.to_thread(blocking.post, url, content=body)


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=["asynchronous", "blocking"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("end", ["drop", "reset"])
async def test_request_dropped_on_a_kept_connection_is_sent_once_more_on_a_new_one(
    library: Any, kind: str, end: str
) -> None:
    async with fickle_server("answer", end, "answer") as server:
        async with posting(library, kind, server.url) as post:
            await post(b"first")

            answer = await post(b"second")

    assert answer.text == "ok"
    assert server.received == [(0, b"first"), (0, b"second"), (1, b"second")]


async def test_connection_closed_before_the_next_request_costs_no_second_try(
    library: Any, kind: str
) -> None:
    async with fickle_server("leave", "answer") as server:
        async with posting(library, kind, server.url) as post:
            await post(b"first")
            await asyncio.wait_for(server.closed.wait(), 30)

            answer = await post(b"second")

    assert answer.text == "ok"
    assert [body for _, body in server.received][-1] == b"second"


@pytest.mark.parametrize("end", ["drop", "reset"])
async def test_request_dropped_on_its_own_connection_fails(
    library: Any, kind: str, end: str
) -> None:
    async with fickle_server(end, "answer") as server:
        async with posting(library, kind, server.url) as post:
            with pytest.raises((library.RemoteProtocolError, library.ReadError)):
                await post(b"only")

    assert server.received == [(0, b"only")]


async def test_request_dropped_on_the_new_connection_too_fails(library: Any, kind: str) -> None:
    async with fickle_server("answer", "drop", "drop", "answer") as server:
        async with posting(library, kind, server.url) as post:
            await post(b"first")

            with pytest.raises(library.RemoteProtocolError):
                await post(b"second")

    assert len(server.received) == 3


async def test_answer_that_breaks_off_is_never_asked_for_again(library: Any, kind: str) -> None:
    async with fickle_server("answer", "half", "answer") as server:
        async with posting(library, kind, server.url) as post:
            await post(b"first")

            with pytest.raises(library.RemoteProtocolError):
                await post(b"second")

    assert server.received == [(0, b"first"), (0, b"second")]


async def test_body_that_can_be_read_only_once_is_not_sent_again(library: Any) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"once"

    async with fickle_server("answer", "drop", "answer") as server:
        async with posting(library, "asynchronous", server.url) as post:
            await post(b"first")

            with pytest.raises((library.RemoteProtocolError, library.ReadError)):
                await post(body())


async def test_request_on_a_kept_connection_that_is_not_answered_in_time_is_not_sent_again(
    library: Any,
) -> None:
    async with fickle_server("answer", "silence", "answer") as server:
        transport = TransportFactory(library, server.url).make("AsyncHTTPTransport")
        async with library.AsyncClient(transport=transport) as client:
            await client.post(server.url, content=b"first")

            with pytest.raises(library.ReadTimeout):
                await client.post(server.url, content=b"second", timeout=0.1)

    assert len(server.received) == 2


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
TICKS = range(5)
"""On uvloop one of them leaves a connection without its socket, before anything was sent."""


def post_to_resetting_server(library: Any, loop: str, resets: int, ticks: int) -> tuple[Any, int]:
    """Return what a client got, an answer or an error, and how many connections it opened."""

    async def post() -> tuple[Any, int]:
        with resetting_server(resets, ticks) as server:
            async with posting(library, "asynchronous", server.url) as post:
                try:
                    return await post(b"only"), server.accepted
                except Exception as error:
                    return error, server.accepted

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(post())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("ticks", TICKS)
def test_reset_while_a_connection_is_opened_is_an_error_of_the_library(
    library: Any, loop: str, ticks: int
) -> None:
    error, accepted = post_to_resetting_server(library, loop, 9, ticks)

    assert isinstance(error, library.NetworkError)
    assert accepted <= 2


def test_request_of_which_nothing_was_sent_is_sent_on_another_new_connection(library: Any) -> None:
    outcomes = [post_to_resetting_server(library, "uvloop", 1, ticks)[0] for ticks in TICKS]

    assert [each.text for each in outcomes if not isinstance(each, Exception)] == ["ok"]


@pytest.mark.parametrize(
    "error",
    [
        AttributeError("'NoneType' object has no attribute 'getpeername'"),
        RuntimeError("unable to perform operation on <TCPTransport closed=True>"),
        anyio.ClosedResourceError(),
        anyio.BrokenResourceError(),
        ConnectionResetError(),
    ],
    ids=repr,
)
def test_what_layers_below_raise_of_a_lost_connection_is_an_error_of_the_library(
    library: Any, error: Exception
) -> None:
    with pytest.raises(library.ConnectError, match="lost"), translate_lost(library):
        raise error


def test_errors_of_the_library_stay_as_they_are(library: Any) -> None:
    for error in (library.StreamConsumed(), library.ReadTimeout("late")):
        with pytest.raises(type(error)), translate_lost(library):
            raise error


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://models.example", {"https_proxy": "http://proxy:3128"}, "http://proxy:3128"),
        ("http://models.example", {"https_proxy": "http://proxy:3128"}, None),
        ("http://models.example", {"all_proxy": "proxy:3128"}, "http://proxy:3128"),
        (
            "https://models.example/v1",
            {"https_proxy": "http://proxy", "no_proxy": "other, .example"},
            None,
        ),
    ],
)
def test_proxy_of_the_environment_is_that_of_the_servers_address(
    monkeypatch: pytest.MonkeyPatch, url: str, environ: dict[str, str], proxy: str | None
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, text in environ.items():
        monkeypatch.setenv(name, text)

    assert find_proxy(url) == proxy


# Every back end over HTTP, before a server that drops each second request of a connection -------


def driver_of(backend: str, url: str, home: Path) -> Driver:
    context = DriverContext(load_settings(home=home, ollama_url=url), {}, cast(ModelSource, None))
    return OllamaDriver(context) if backend == "ollama" else OpenAIDriver(context)


def spec_of(backend: str, task: str, url: str) -> ModelSpec:
    options = {"base_url": f"{url}/v1"} if backend == "openai" else {}
    fields = {"name": "mine", "task": task, "backend": backend, "source": "maker"}
    return ModelSpec.model_validate({**fields, "options": options})


async def drain(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        pass


USES: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "chat": lambda chat: chat.ainvoke("hi"),
    "blocking chat": lambda chat: asyncio.to_thread(chat.invoke, "hi"),
    "caption": lambda seer: drain(seer.caption(CaptionRequest([picture()]))),
    "embed": lambda embedder: embedder.embed(["words"]),
    "image": lambda painter: drain(painter.draw(ImageRequest("a hat", width=32, height=32))),
    "speech": lambda speaker: drain(speaker.speak(SpeechRequest("Good morning."))),
    "transcribe": lambda listener: drain(listener.transcribe(TranscribeRequest(b"\1\0" * 800))),
}
CHAT_SERVER = ("chat", "blocking chat", "caption", "embed")
CASES = [
    *(("ollama", use) for use in CHAT_SERVER),
    # OpenAI's blocking client keeps no connection after a stream.
    *(("openai", use) for use in USES if use != "blocking chat"),
]


@pytest.mark.parametrize(("backend", "use"), CASES)
async def test_every_back_end_outlives_a_server_that_drops_kept_connections(
    ollama: Ollama, maker: OpenAIDouble, tmp_path: Path, backend: str, use: str
) -> None:
    ollama.add("maker", capabilities=("completion", "vision", "embedding"))
    async with stale_relay(ollama.url if use in CHAT_SERVER else maker.url) as relay:
        driver = driver_of(backend, relay.url, tmp_path)
        spec = spec_of(backend, use.split()[-1], relay.url)
        model = await driver.load(spec, MemoryRequirement(), lambda progress: None)
        capability: Any = model.capability

        for _ in range(4):
            await USES[use](capability)

        assert relay.dropped
        await model.unload()
        await driver.close()


@pytest.mark.parametrize("backend", ["ollama", "openai"])
async def test_probes_outlive_a_server_that_drops_kept_connections(
    ollama: Ollama, tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.backends.ollama.driver.PROBE_KEEP_S", 0.0)
    monkeypatch.setattr("models.backends.openai.driver.PROBE_KEEP_S", 0.0)
    ollama.add("maker")
    async with stale_relay(ollama.url) as relay:
        driver = driver_of(backend, relay.url, tmp_path)

        reasons = [await driver.available(spec_of(backend, "chat", relay.url)) for _ in range(4)]

        assert reasons == [None] * 4
        assert relay.dropped
        await driver.close()


@pytest.fixture
def maker() -> Iterator[OpenAIDouble]:
    double = OpenAIDouble()
    double.start()
    yield double
    double.stop()
