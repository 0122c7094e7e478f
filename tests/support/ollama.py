"""A double of the Ollama server: its wire as recorded, its models scripted by the test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.support import ollama_wire as wire
from tests.support import openai_wire
from tests.support.exchange import JSON, NDJSON, Answer, Endpoint, answer_json, streamed
from tests.support.generation import End, Event, Failed, ToolCall, generate
from tests.support.runners import Card, Runner, Runners
from tests.support.script import RUNNER_DIED, Gate, Responder, Signal, Turn, parts, says
from tests.support.server import ServerThread


@dataclass(frozen=True)
class ReceivedRequest:
    """A request that reached the double. `left`: its client went before the answer was done."""

    method: str
    path: str
    body: dict[str, Any]
    headers: Mapping[str, str]
    left: Signal


class Ollama:
    """A server with no models at first. Also serves `/v1`, as the real one does.

    `add` installs a model and says how it answers. `offer` puts one into the registry, to be
    pulled. `old`: speaks like servers before 0.30, whose tags tell no capabilities. `api_key`:
    `/v1` refuses other keys, as OpenAI does.
    """

    def __init__(
        self,
        *,
        max_loaded: int = 3,
        max_queue: int = 512,
        parallel: int = 4,
        old: bool = False,
        version: str = "0.32.15",
        api_key: str | None = None,
        port: int = 0,
    ) -> None:
        self.requests: list[ReceivedRequest] = []
        self.tags_take_s = 0.0
        self.api_key = api_key
        self._limits = max_loaded, max_queue, parallel
        self.runners = Runners(*self._limits)
        self._version, self._old = version, old
        self._cards: dict[str, Card] = {}
        self._registry: dict[str, tuple[Card, Gate | None]] = {}
        self._server = ServerThread(self._app(), port)

    @property
    def url(self) -> str:
        return self._server.url

    def start(self) -> None:
        self.runners = Runners(*self._limits)  # nothing is loaded in a server that starts
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def add(
        self, name: str, reply: str | Responder = "Hello there, friend.", **traits: Any
    ) -> Card:
        """Installs a model. `traits` are fields of `Card`; tags default to `:latest`."""
        responder = says(reply) if isinstance(reply, str) else reply
        card = Card(_tagged(name), responder, **traits)
        self._cards[card.name.lower()] = card
        return card

    def remove(self, name: str) -> None:
        del self._cards[_tagged(name).lower()]

    def offer(
        self, name: str, reply: str = "Hello.", gate: Gate | None = None, **traits: Any
    ) -> None:
        """Makes a model pullable; the pull waits at `gate` after its first progress lines."""
        card = Card(_tagged(name), says(reply), **traits)
        self._registry[card.name.lower()] = card, gate

    @property
    def loaded(self) -> list[str]:
        return [runner.card.name for runner in self.runners.listing()]

    def asked(self, path: str) -> list[dict[str, Any]]:
        """The bodies of all requests to a path, in order."""
        return [seen.body for seen in self.requests if seen.path == path]

    @property
    def cards(self) -> list[Card]:
        return list(self._cards.values())

    def card(self, asked: str) -> Card | None:
        return self._cards.get(_tagged(asked).lower())

    def _app(self) -> Starlette:
        @asynccontextmanager
        async def scheduling(app: Starlette) -> AsyncIterator[None]:
            scheduler = asyncio.create_task(self.runners.run())
            yield
            scheduler.cancel()

        def api(verb: str, path: str, answer: Answer) -> Route:
            return Route(path, Endpoint(verb, self._noted(answer)))

        return Starlette(
            lifespan=scheduling,
            exception_handlers={404: _no_page},
            routes=[
                api("GET", "/", self._root),
                api("GET", "/api/version", self._show_version),
                api("GET", "/api/tags", self._tags),
                api("GET", "/api/ps", self._ps),
                api("POST", "/api/show", self._show),
                api("POST", "/api/generate", self._generate),
                api("POST", "/api/chat", self._chat),
                api("POST", "/api/embed", self._embed),
                api("POST", "/api/pull", self._pull),
                api("GET", "/v1/models", openai_wire.guarded(self, openai_wire.models)),
                api("POST", "/v1/chat/completions", openai_wire.guarded(self, openai_wire.chat)),
                api("POST", "/v1/embeddings", openai_wire.guarded(self, openai_wire.embeddings)),
            ],
        )

    def _noted(self, answer: Answer) -> Answer:
        async def noted(request: Request) -> Response:
            raw = await request.body()
            try:
                body = json.loads(raw) if raw else {}
            except ValueError:
                body = {}
            headers = {name.lower(): value for name, value in request.headers.items()}
            seen = ReceivedRequest(
                request.method, request.url.path, body, headers, request.state.left
            )
            self.requests.append(seen)
            try:
                return await answer(request)
            except Failed as error:
                failure = error.failure
                body = {"error": failure.error}
                return answer_json(body, failure.status, JSON, **failure.headers)

        return noted

    async def _root(self, request: Request) -> Response:
        return PlainTextResponse("Ollama is running")

    async def _show_version(self, request: Request) -> Response:
        return answer_json({"version": self._version})

    async def _tags(self, request: Request) -> Response:
        await asyncio.sleep(self.tags_take_s)
        newest = sorted(self._cards.values(), key=lambda card: card.modified_at, reverse=True)
        return answer_json({"models": [wire.tag(card, old=self._old) for card in newest]})

    async def _ps(self, request: Request) -> Response:
        return answer_json({"models": [wire.running(each) for each in self.runners.listing()]})

    async def _show(self, request: Request) -> Response:
        body = wire.parse(await request.body(), "ShowRequest")
        name = body.get("model") or body.get("name") or ""
        card = self.installed(name, 400, _tagged(name) if not self._old else name)
        return answer_json(wire.shown(card))

    async def _generate(self, request: Request) -> Response:
        body = wire.parse(await request.body(), "GenerateRequest")
        keep_s = wire.keep_alive_s(body)
        wire.check_think(body)
        card = self.installed(body.get("model") or "", 404)
        if keep_s != 0 or body.get("prompt"):  # any model can be told to go
            wire.check_capable(card, body.get("model", ""), body, "generate")
        message = [{"role": "user", "content": body["prompt"]}] if body.get("prompt") else []
        return await self._answer(card, body, message, keep_s, chat=False)

    async def _chat(self, request: Request) -> Response:
        body = wire.parse(await request.body(), "ChatRequest")
        keep_s = wire.keep_alive_s(body)
        wire.check_think(body)
        card = self.installed(body.get("model") or "", 400)
        wire.check_capable(card, body.get("model", ""), body, "chat")
        return await self._answer(card, body, body.get("messages") or [], keep_s, chat=True)

    async def _embed(self, request: Request) -> Response:
        body = wire.parse(await request.body(), "EmbedRequest")
        keep_s = wire.keep_alive_s(body)
        texts = wire.embed_inputs(body)
        name = body.get("model") or ""
        if name and self.card(name) is None:
            raise wire.refuse(404, f'model "{name}" not found, try pulling it first')
        self.installed(name, 404)
        rows, spent = await self.vectors(name, texts, body, keep_s)
        return answer_json(wire.embedded(name, rows, spent))

    async def vectors(
        self,
        name: str,
        texts: list[str],
        body: dict[str, Any],
        keep_s: float = wire.DEFAULT_KEEP_ALIVE_S,
    ) -> tuple[list[list[float]], int]:
        """A vector for each text, and how many tokens were read."""
        card = self.installed(name, 404)
        options = wire.check_options(body)
        async with self.runners.use(card, options.get("num_ctx"), keep_s) as runner:
            if texts and "embedding" not in card.capabilities:
                raise wire.refuse(
                    501, "This server does not support embeddings. Start it with `--embeddings`"
                )
            if any(len(text.split()) > runner.num_ctx for text in texts):
                raise wire.refuse(400, "the input length exceeds the context length")
            rows = [card.vector(text)[: body.get("dimensions") or None] for text in texts]
            reply = card.responder(Turn(name, [{"content": text} for text in texts]))
            async for _ in parts(reply):  # waits at gates
                pass
        return rows, sum(len(text.split()) + 1 for text in texts)

    def installed(self, name: str, empty_status: int, called: str | None = None) -> Card:
        """The model of that name; raises `Failed` in the words of the original."""
        if not name:
            empty = "model is required" if empty_status == 400 else "model '' not found"
            raise wire.refuse(empty_status, empty)
        if " " in name or "!" in name:
            raise wire.refuse(400, "invalid model name")
        if name.endswith((":cloud", "-cloud")):
            raise wire.refuse(403, "ollama cloud is disabled: remote model is unavailable")
        if (card := self.card(name)) is None:
            raise wire.refuse(404, f"model '{called or name}' not found")
        return card

    async def _answer(
        self,
        card: Card,
        body: dict[str, Any],
        messages: list[dict[str, Any]],
        keep_s: float,
        *,
        chat: bool,
    ) -> Response:
        lines = wire.Lines(body["model"], chat=chat)
        if not messages and keep_s == 0:
            self.runners.unload(card)
            return answer_json(lines.idle("unload"))
        options = wire.check_options(body)
        if not messages:
            async with self.runners.use(card, options.get("num_ctx"), keep_s):
                return answer_json(lines.idle("load"))
        turn = Turn(
            body["model"],
            messages,
            body.get("tools") or [],
            body.get("format"),
            options,
            body.get("think"),
        )
        events = self.events(card, turn, keep_s)
        if body.get("stream") is False:
            return answer_json(lines.whole([event async for event in events]))
        shaped = _shaped(events, lines, card.go_template)
        return await streamed(shaped, NDJSON, after=lambda error: _line({"error": error}))

    async def events(self, card: Card, turn: Turn, keep_s: float) -> AsyncIterator[Event]:
        """One answer of a model, loaded and in its turn."""
        async with self.runners.use(card, turn.options.get("num_ctx"), keep_s) as runner:
            async with runner.slots:
                try:
                    reply = card.responder(turn)
                    async for event in generate(turn, reply, go_template=card.go_template):
                        yield event
                except Failed as error:
                    _note_death(runner, error)
                    raise

    async def _pull(self, request: Request) -> Response:
        body = wire.parse(await request.body(), "PullRequest")
        name = body.get("model") or body.get("name") or ""
        if not name or " " in name:
            raise wire.refuse(400, "invalid model name")
        steps = self._pulling(name)
        if body.get("stream") is False:
            async for step in steps:
                if "error" in step:
                    return answer_json(step, 500, "application/json")
            return answer_json({"status": "success"}, 200, "application/json")
        return await streamed(_lines(steps), NDJSON, after=lambda error: _line({"error": error}))

    async def _pulling(self, name: str) -> AsyncIterator[dict[str, Any]]:
        yield {"status": "pulling manifest"}
        found = self._registry.get(_tagged(name).lower())
        if found is None:
            yield {"error": "pull model manifest: file does not exist"}
            return
        card, gate = found
        layer = {"status": f"pulling {card.digest[:12]}", "digest": f"sha256:{card.digest}"}
        total = card.size_bytes
        fresh = self.card(name) is None
        # A line each 60 ms: the last one of a fresh layer stays below its total.
        for tenths in (1, 5, 9) if fresh else (10,):
            yield {**layer, "total": total, "completed": total * tenths // 10}
        if gate:
            await gate.passed()
        for status in ("verifying sha256 digest", "writing manifest"):
            yield {"status": status}
        self._cards[card.name.lower()] = card
        yield {"status": "success"}


async def _shaped(
    events: AsyncIterator[Event], lines: wire.Lines, go_template: bool
) -> AsyncIterator[bytes]:
    calls: list[ToolCall] = []
    async for event in events:
        if isinstance(event, End):
            yield _line(lines.end(event, calls))
        elif isinstance(event, ToolCall) and not go_template:
            calls.append(event)  # llama-server's parser: all calls come on the last line
        else:
            yield _line(lines.part(event))


def _note_death(runner: Runner, error: Failed) -> None:
    if error.failure == RUNNER_DIED:
        runner.broken = True


async def _lines(steps: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    async for step in steps:
        yield _line(step)


def _line(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _tagged(name: str) -> str:
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


async def _no_page(request: Request, error: Exception) -> Response:
    return Response("404 page not found", 404, headers={"content-type": "text/plain"})
