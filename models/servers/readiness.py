"""Waiting until a server that was started can be used."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import httpx

from config.errors import TimedOut
from config.lost_connections import translate_lost
from models.servers.output import Output
from models.servers.spec import HttpReady, LogReady, Ready

HOST = "127.0.0.1"
PAUSE_S = 0.05
"""Between two questions at first; each next pause is longer by a half."""
MAX_PAUSE_S = 1.0
ANSWER_S = 5.0
"""Bounds one request for `HttpReady`."""


def find_free_port() -> int:
    """Find a port that nobody listens on now; another may take it before it is used."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Tell whether a server could listen there now."""
    with socket.socket() as probe:
        # As servers do: connections of the last one that still linger are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


async def wait_ready(name: str, ready: Ready, port: int, output: Output, timeout_s: float) -> None:
    """Wait until the server is ready. Raises `TimedOut` ("server_start_timed_out").

    Watch the server's end beside this.
    """
    try:
        async with asyncio.timeout(timeout_s):
            if isinstance(ready, LogReady):
                await asyncio.shield(output.matched)
            elif isinstance(ready, HttpReady):
                await _wait_answer(f"http://{HOST}:{port}{ready.path}")
            else:
                await _poll(lambda: _connects(port))
    except TimeoutError as error:
        raise TimedOut(
            f"The server of '{name}' was not ready within {timeout_s:g} s "
            f"({_describe_wait(ready)}). `start_timeout_s` bounds this.",
            code="server_start_timed_out",
            details={"model": name, "output": list(output)},
        ) from error


async def _wait_answer(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_S) as client:

        async def answers() -> bool:
            try:
                with translate_lost(httpx):
                    return (await client.get(url)).is_success
            except httpx.HTTPError:
                return False

        await _poll(answers)


async def _connects(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


async def _poll(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it holds: a foreign server tells nobody that it is ready."""
    pause_s = PAUSE_S
    while not await holds():
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, MAX_PAUSE_S)


def _describe_wait(ready: Ready) -> str:
    if isinstance(ready, HttpReady):
        return f"no success at {ready.path}"
    if isinstance(ready, LogReady):
        return f"no line with '{ready.pattern}'"
    return "its port takes no connection"
