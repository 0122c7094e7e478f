"""Chat models of any server that speaks OpenAI's protocol, declared in models.yaml."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import Field

from config.errors import Invalid, MotetError, Unavailable
from models.backends.common.network import PROBE_TIMEOUT_S, is_local, shown
from models.backends.common.options import Options
from models.backends.common.probe import Probe
from models.drivers import DriverContext, Need, Progress
from models.spec import ModelSpec, Task

if TYPE_CHECKING:
    from models.backends.openai.chat import OpenAIChat

PROBE_KEEP_S = 5.0
NO_KEY = "none"  # the client demands one, also for servers that do not


class OpenAIOptions(Options):
    """`options:` of a model of this back end."""

    base_url: str = Field(pattern=r"^https?://", description="Up to and with `/v1`.")
    api_key_env: str | None = Field(None, description="Environment variable with the key.")
    timeout_s: float = Field(300.0, gt=0, description="Longest silence while it answers.")
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = Field(None, ge=1)
    seed: int | None = None
    stop: list[str] | None = None
    reasoning_effort: str | None = None
    usage: bool = Field(True, description="Ask for token counts; some old servers refuse.")

    def key(self) -> str:
        """Raises `Unavailable` naming the variable that is not set."""
        if self.api_key_env is None:
            return NO_KEY
        if key := os.environ.get(self.api_key_env):
            return key
        raise Unavailable(
            f"The environment variable {self.api_key_env} is not set; it should hold the key for "
            f"{shown(self.base_url)}.",
            code="model_key_missing",
            details={"variable": self.api_key_env},
        )

    def sampling(self) -> dict[str, Any]:
        own = {"base_url", "api_key_env", "timeout_s", "usage", "max_tokens"}
        sent = self.model_dump(exclude=own, exclude_none=True)
        if self.max_tokens:  # langchain's own field sends a newer name few servers know
            sent["extra_body"] = {"max_tokens": self.max_tokens}
        return {**sent, "stream_usage": self.usage}


class OpenAIModel:
    """A model elsewhere: it takes no memory here and nothing tells when it goes."""

    memory: Mapping[str, int] = {}
    lost: asyncio.Future[str] | None = None

    def __init__(self, chat: OpenAIChat) -> None:
        self._chat = chat

    @property
    def capability(self) -> OpenAIChat:
        return self._chat

    async def unload(self) -> None:
        await self._chat.aclose()


class OpenAIDriver:
    """Every server that a model of models.yaml names."""

    def __init__(self, context: DriverContext) -> None:
        Options.of("backends.openai", context.options)
        self._clients: dict[bool, httpx.AsyncClient] = {}
        self._probes: dict[tuple[str, str], Probe[list[str] | None]] = {}

    async def available(self, spec: ModelSpec) -> str | None:
        try:
            await self._served_as(spec, OpenAIOptions.of(spec.name, spec.options))
        except MotetError as error:
            return error.message
        return None

    async def discover(self, task: Task) -> Sequence[ModelSpec]:
        return ()

    def named(self, source: str, task: Task) -> ModelSpec | None:
        return None  # a name alone does not tell the server

    def estimate(self, spec: ModelSpec) -> Sequence[Need]:
        return [Need()]

    async def load(self, spec: ModelSpec, need: Need, progress: Progress) -> OpenAIModel:
        from models.backends.openai.chat import OpenAIChat
        from models.backends.openai.errors import Translator

        options = OpenAIOptions.of(spec.name, spec.options)
        source = await self._served_as(spec, options)
        url = options.base_url
        translate = Translator(url, source, options.api_key_env, options.timeout_s)
        chat = OpenAIChat(
            url=url,
            model=source,
            key=options.key(),
            silence_s=options.timeout_s,
            translate=translate,
            **options.sampling(),
        )
        return OpenAIModel(chat)

    async def close(self) -> None:
        for probe in self._probes.values():
            await probe.close()
        for client in self._clients.values():
            await client.aclose()

    async def _served_as(self, spec: ModelSpec, options: OpenAIOptions) -> str:
        """The model's name on its server. Raises `Unavailable` or `Invalid` saying what to do."""
        if spec.task != "chat":
            raise Invalid(f"{spec.name}: this back end serves chat, not {spec.task}.")
        server = options.base_url, options.key()
        if server not in self._probes:
            self._probes[server] = Probe(lambda: self._listed(options), PROBE_KEEP_S)
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
                f"The server at {shown(options.base_url)} has no model '{spec.source}'; it has "
                f"{_some(listed)}.",
                code="model_missing",
                details={"url": shown(options.base_url), "model": spec.source},
            )
        return spec.source

    async def _listed(self, options: OpenAIOptions) -> list[str] | None:
        """The names of the server's models; None where it does not tell."""
        url, local = options.base_url.rstrip("/"), is_local(options.base_url)
        if local not in self._clients:
            self._clients[local] = httpx.AsyncClient(trust_env=not local)
        try:
            answer = await self._clients[local].get(
                f"{url}/models",
                headers={"authorization": f"Bearer {options.key()}"},
                timeout=PROBE_TIMEOUT_S,
            )
            if answer.status_code in (401, 403):
                raise Unavailable(_forbidden(options, answer.status_code), code="model_forbidden")
            if answer.is_error:
                return None
            return [str(entry["id"]) for entry in answer.json().get("data") or []]
        except httpx.HTTPError as error:
            raise Unavailable(
                f"No server answers at {shown(url)}. Start it, or change the option `base_url`.",
                code="openai_unreachable",
                details={"url": shown(url)},
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


def _forbidden(options: OpenAIOptions, status: int) -> str:
    where = f"in {options.api_key_env}" if options.api_key_env else "(none: set `api_key_env`)"
    return f"The server at {shown(options.base_url)} refuses our key {where} ({status})."


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "none"
