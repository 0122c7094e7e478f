"""Models of any server that speaks OpenAI's protocol, declared in models.yaml."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from config.errors import Invalid, MotetError, Unavailable
from models.availability import Reason
from models.backends.common.network import PROBE_TIMEOUT_S, probe_connect_s, redacted_url
from models.backends.common.options import Options
from models.backends.common.sampling import dump_sampling
from models.backends.common.single_flight import SingleFlightCache
from models.backends.common.transports import TransportFactory
from models.backends.openai.context import ServerContext, find_context
from models.backends.openai.options import OPTIONS, OpenAIChatOptions, OpenAIOptions
from models.catalog.spec import ModelSpec, Task
from models.driver import DriverContext, Progress
from models.scheduling.requirement import MemoryRequirement
from models.servers.managed import (
    ManagedServer,
    server_needs,
    start_server,
    why_not_startable,
)
from models.servers.spec import ServeSpec

if TYPE_CHECKING:
    from models.backends.openai.embed import OpenAIEmbed
    from models.backends.openai.errors import Translator

CAPABILITIES: dict[str, str] = {
    "caption": "models.backends.openai.caption:OpenAICaption",
    "embed": "models.backends.openai.embed:OpenAIEmbed",
    "image": "models.backends.openai.image:OpenAIImage",
    "speech": "models.backends.openai.speech:OpenAISpeech",
    "transcribe": "models.backends.openai.transcribe:OpenAITranscribe",
}
PROBE_KEEP_S = 5.0


class OpenAIModel:
    """A model elsewhere: it takes no memory here, and nothing tells when it goes; or one whose
    server is ours: `server`.
    """

    def __init__(self, capability: Any, server: ManagedServer | None) -> None:
        self._capability = capability
        self._server = server

    @property
    def capability(self) -> Any:
        return self._capability

    @property
    def memory(self) -> Mapping[str, int]:
        return self._server.memory if self._server else {}

    @property
    def lost(self) -> asyncio.Future[str] | None:
        return self._server.lost if self._server else None

    async def unload(self) -> None:
        await self._capability.aclose()
        if self._server:
            await self._server.stop()


class OpenAIDriver:
    """Every server that a model of models.yaml names."""

    def __init__(self, context: DriverContext) -> None:
        Options.of("backends.openai", context.options)
        self._context = context
        self._clients: dict[tuple[str, str | None], httpx.AsyncClient] = {}
        self._probes: dict[tuple[str, str], SingleFlightCache[list[str] | None]] = {}
        self._served: dict[str, ManagedServer] = {}
        self._starting: set[str] = set()

    async def available(self, spec: ModelSpec) -> str | None:
        try:
            options = _options(spec)
            if options.serve:
                options.key()
                # Its own port is in use while it starts and while it is loaded.
                served = self._served.get(spec.name)
                if spec.name in self._starting or (served and served.alive):
                    return None
                return why_not_startable(options.serve)
            await self._served_as(spec, options, options.base_url)
        except MotetError as error:
            return Reason.of(error)
        return None

    async def discover(self, task: Task) -> Sequence[ModelSpec]:
        return ()

    def named(self, source: str, task: Task) -> ModelSpec | None:
        return None  # a name alone does not tell the server

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        options = _options(spec)
        return server_needs(spec, options.serve) if options.serve else [MemoryRequirement()]

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> OpenAIModel:
        options = _options(spec)
        server = await self._start(spec, options.serve, need, progress) if options.serve else None
        try:
            url = server.url if server else options.base_url
            source = await self._served_as(spec, options, url)
            translate = await asyncio.to_thread(_make_translator, spec, options, url, server)
            context = await self._find_context(options, url, source)
            capability = await asyncio.to_thread(
                _make_capability, spec.task, options, url, source, translate, context
            )
            if spec.task == "embed":
                await _opened(capability)
            return OpenAIModel(capability, server)
        except BaseException:
            if server:
                await asyncio.shield(server.stop())
            raise

    async def _start(
        self, spec: ModelSpec, serve: ServeSpec, need: MemoryRequirement, progress: Progress
    ) -> ManagedServer:
        self._starting.add(spec.name)
        try:
            server = await start_server(
                spec,
                serve,
                need,
                progress,
                accelerators=self._context.accelerators,
                home=str(self._context.settings.home),
            )
        finally:
            self._starting.discard(spec.name)
        self._served[spec.name] = server
        return server

    async def close(self) -> None:
        for probe in self._probes.values():
            await probe.close()
        for client in self._clients.values():
            await client.aclose()

    async def _served_as(self, spec: ModelSpec, options: OpenAIOptions, url: str) -> str:
        """Find the model's name on its server. Raises `Unavailable` or `Invalid`."""
        if options.serve and spec.source:
            return spec.source
        server = url, options.key()
        if server not in self._probes:
            self._probes[server] = SingleFlightCache(
                lambda: self._list_models(options, url), PROBE_KEEP_S
            )
        listed = await self._probes[server].get()
        if listed is None:
            return spec.source
        if len(listed) == 1:
            # A server of one model, such as llama.cpp's, takes any name for it.
            return spec.source or listed[0]
        if not spec.source:
            raise Invalid(
                f"{spec.name}: `source` must name one of the server's models: {_some(listed)}.",
                details={"field": "source"},
            )
        # Ollama's list tells tags that a name may leave out.
        if not {spec.source, f"{spec.source}:latest"} & set(listed):
            raise Unavailable(
                f"The server at {redacted_url(url)} does not have the model of '{spec.name}'; "
                f"`source` in models.yaml names it. It has {_some(listed)}.",
                code="model_missing",
                details={"url": redacted_url(url), "model": spec.name},
            )
        return spec.source

    async def _find_context(self, options: OpenAIOptions, url: str, source: str) -> ServerContext:
        if not isinstance(options, OpenAIChatOptions):
            return ServerContext()
        client = await self._client(url)
        return (await find_context(client, url, options.key(), source)).limited(options.context)

    async def _client(self, url: str) -> httpx.AsyncClient:
        parts = urlsplit(url)
        key = parts.scheme, parts.hostname  # what TLS and a proxy depend on
        if key not in self._clients:
            opened = await asyncio.to_thread(_open_client, url)
            self._clients.setdefault(key, opened)
        return self._clients[key]

    async def _list_models(self, options: OpenAIOptions, url: str) -> list[str] | None:
        """List the names of the server's models; None where it does not tell."""
        url = url.rstrip("/")
        client = await self._client(url)
        try:
            answer = await client.get(
                f"{url}/models",
                headers={"authorization": f"Bearer {options.key()}"},
                timeout=httpx.Timeout(PROBE_TIMEOUT_S, connect=probe_connect_s(url)),
            )
            if answer.status_code in (401, 403):
                raise Unavailable(_forbidden(options, answer.status_code), code="model_forbidden")
            if answer.is_error:
                return None
            return [str(entry["id"]) for entry in answer.json().get("data") or []]
        except httpx.HTTPError as error:
            raise Unavailable(
                f"No server answers at {redacted_url(url)}. Start it, or change the option "
                "`base_url`.",
                code="openai_unreachable",
                details={"url": redacted_url(url)},
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


def _open_client(url: str) -> httpx.AsyncClient:
    transport = TransportFactory(httpx, url).make("AsyncHTTPTransport")
    return httpx.AsyncClient(transport=transport)


def _make_translator(
    spec: ModelSpec, options: OpenAIOptions, url: str, server: ManagedServer | None
) -> Translator:
    """Make what translates errors; blocks for the import of the `openai` package."""
    from models.backends.openai.errors import Translator

    explain = server.explain_loss if server else None
    return Translator(url, spec.name, options.api_key_env, options.timeout_s, explain)


def _make_capability(
    task: Task,
    options: OpenAIOptions,
    url: str,
    source: str,
    translate: Translator,
    context: ServerContext,
) -> Any:
    """Make what a lease hands out; blocks for imports, and for the authorities of TLS."""
    if isinstance(options, OpenAIChatOptions):
        from models.backends.openai.chat import OpenAIChat

        return OpenAIChat(
            url=url,
            model=source,
            key=options.key(),
            silence_s=options.timeout_s,
            translate=translate,
            context=context,
            sampling=dump_sampling(options),
            body=options.extra,
            reasoning_effort=options.reasoning_effort,
            stream_usage=options.usage,
        )
    from models.backends.openai.client import Endpoint

    endpoint = Endpoint(url, source, options.key(), options.timeout_s, translate)
    module, name = CAPABILITIES[task].split(":")
    return getattr(import_module(module), name)(endpoint, options)


async def _opened(embed: OpenAIEmbed) -> None:
    try:
        await embed.open()
    except BaseException:
        await embed.aclose()
        raise


def _options(spec: ModelSpec) -> OpenAIOptions:
    if spec.task not in OPTIONS:
        raise Invalid(
            f"{spec.name}: this back end serves {', '.join(OPTIONS)}, not {spec.task}.",
            code="task_unsupported",
        )
    return OPTIONS[spec.task].of(spec.name, spec.options)


def _forbidden(options: OpenAIOptions, status: int) -> str:
    where = f"in {options.api_key_env}" if options.api_key_env else "(none: set `api_key_env`)"
    url = redacted_url(options.base_url)
    return f"The server at {url} refuses our key {where} ({status})."


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "none"
