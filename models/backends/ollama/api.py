"""Ollama's API, as far as models are found, loaded, asked and let go by it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from typing import Any

import httpx

from config.errors import Busy, Invalid, MotetError
from config.text_streams import read_lines
from models.backends.common.network import (
    CONNECT_TIMEOUT_S,
    PROBE_TIMEOUT_S,
    probe_connect_s,
)
from models.backends.common.transports import TransportFactory
from models.backends.ollama import errors, listing
from models.backends.ollama.listing import Details, Installed, RunningModel, untagged

FOR_EVER = -1
BUSY_PAUSE_S = 2.0


class OllamaApi:
    """One server. Raises `Unavailable("ollama_unreachable")` where it does not answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._opened: httpx.AsyncClient | None = None

    async def version(self) -> str:
        """Ask for its version; quick, so it tells whether the server is there."""
        answer = await self._call("GET", "/api/version", timeout_s=PROBE_TIMEOUT_S)
        return str(answer.get("version", ""))

    async def wait_answering(self, within_s: float) -> bool:
        """Wait until the server answers, for `within_s` at most; tell whether it does."""
        pause_s = 0.05
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while True:
                    with contextlib.suppress(MotetError):
                        await self.version()
                        return True
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, 0.5)
        return False

    async def installed(self) -> list[Installed]:
        """List every installed model, the one changed last first."""
        answer = await self._call("GET", "/api/tags", timeout_s=PROBE_TIMEOUT_S)
        models = [listing.installed(entry) for entry in answer.get("models") or []]
        return sorted(models, key=lambda model: model.modified_at, reverse=True)

    async def details(self, name: str) -> Details:
        """Ask what a model can do and takes."""
        return listing.details(
            await self._call("POST", "/api/show", {"model": name}, PROBE_TIMEOUT_S)
        )

    async def running(self) -> list[RunningModel]:
        answer = await self._call("GET", "/api/ps", timeout_s=PROBE_TIMEOUT_S)
        return [listing.running(each) for each in answer.get("models") or []]

    async def load(
        self,
        name: str,
        options: Mapping[str, Any],
        timeout_s: float,
        *,
        called: str,
        embeds: bool = False,
    ) -> None:
        """Load a model with these options and keep it until told otherwise.

        `called` is its name in models.yaml, for errors, here and in what asks a model. While
        Ollama's queue of loads is full, asks again until `timeout_s` is over.
        """
        path = "/api/embed" if embeds else "/api/generate"
        body = {"model": name, "keep_alive": FOR_EVER, "options": dict(options), "stream": False}
        ends_s = asyncio.get_running_loop().time() + timeout_s
        pause_s = 0.05
        while True:
            left_s = ends_s - asyncio.get_running_loop().time()
            try:
                await self._call("POST", path, body, max(left_s, PROBE_TIMEOUT_S), called)
            except Busy:
                if left_s <= pause_s:
                    raise
            else:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, BUSY_PAUSE_S)

    async def unload(self, name: str) -> None:
        """Ask for a model to go. It stays while it answers: see `wait_unloaded`."""
        body = {"model": name, "keep_alive": 0, "stream": False}
        try:
            await self._call("POST", "/api/generate", body, PROBE_TIMEOUT_S)
        except Invalid:  # an older server, asked to generate with a model that embeds
            await self._call("POST", "/api/embed", body, PROBE_TIMEOUT_S)

    async def wait_unloaded(self, names: Collection[str], within_s: float) -> bool:
        """Wait until these left memory; False when they did not within that time.

        Ollama reports no unloads, so this asks for its list, in pauses that grow.
        """
        plain = {untagged(name) for name in names}
        pause_s = 0.02
        try:
            async with asyncio.timeout(within_s):
                while any(held.name in plain for held in await self.running()):
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 2, 0.5)
        except TimeoutError:
            return False
        return True

    async def embed(
        self, body: Mapping[str, Any], texts: Sequence[str], timeout_s: float, *, called: str
    ) -> list[list[float]]:
        """Ask for a vector of each text; `body` names the model and its options."""
        sent = {**body, "input": list(texts)}
        answer = await self._call("POST", "/api/embed", sent, timeout_s, called)
        vectors = answer.get("embeddings") or []
        if len(vectors) != len(texts):
            raise errors.unreadable(called, f"{len(vectors)} vectors")
        return vectors

    async def lines(
        self, path: str, body: Mapping[str, Any], silence_s: float, *, called: str
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the lines of a streamed answer; closing it makes the server stop.

        `silence_s` bounds the wait for each. An error that comes as a line is raised.
        """
        tag = str(body.get("model", ""))
        timeout = httpx.Timeout(silence_s, connect=CONNECT_TIMEOUT_S)
        try:
            client = await self._client()
            async with client.stream(
                "POST", self._address(path), json=body, timeout=timeout
            ) as response:
                if response.is_error:
                    await response.aread()
                    raise _refusal(response, called, tag)
                async for line in read_lines(response.aiter_bytes()):
                    message = json.loads(line) if line.strip() else {}
                    if message.get("error"):
                        raise errors.from_answer(-1, str(message["error"]), called, tag)
                    yield message
        except httpx.HTTPError as error:
            raise errors.from_transport(error, self.url, called, silence_s) from error
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise errors.unreadable(called, str(error)) from error

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.aclose()

    async def _client(self) -> httpx.AsyncClient:
        if self._opened is None:
            opened = await asyncio.to_thread(self._open_client)
            self._opened = self._opened or opened
        return self._opened

    def _open_client(self) -> httpx.AsyncClient:
        """Open a client; blocks, the first one of a process for imports too."""
        transport = TransportFactory(httpx, self.url).make("AsyncHTTPTransport")
        return httpx.AsyncClient(transport=transport)

    def _address(self, path: str) -> str:
        return self.url.rstrip("/") + path

    async def _call(
        self,
        verb: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        timeout_s: float = 10.0,
        called: str = "",
    ) -> dict[str, Any]:
        tag = str((body or {}).get("model", ""))
        called = called or tag
        timeout = httpx.Timeout(timeout_s, connect=probe_connect_s(self.url))
        try:
            client = await self._client()
            response = await client.request(verb, self._address(path), json=body, timeout=timeout)
            answer = response.json()
        except httpx.TimeoutException as error:
            if body is None:
                raise errors.unreachable(self.url, f"silent for {timeout_s:g} s") from error
            raise errors.from_transport(error, self.url, called, timeout_s) from error
        except httpx.HTTPError as error:
            raise errors.from_transport(error, self.url, called, timeout_s) from error
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise errors.no_ollama(self.url) from error
        if not isinstance(answer, dict):
            raise errors.no_ollama(self.url)
        if response.is_error or answer.get("error"):
            raise _refusal(response, called, tag)
        return answer


def _refusal(response: httpx.Response, called: str, tag: str) -> Exception:
    try:
        text = str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        text = response.reason_phrase
    return errors.from_answer(response.status_code, text, called, tag)
