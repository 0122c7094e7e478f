"""Chat models of an Ollama server: finds what is installed, loads it, lets it go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from pydantic import Field

from config.errors import Invalid, MotetError
from models.backends.common.network import is_local
from models.backends.common.options import Options
from models.backends.common.probe import Probe
from models.backends.ollama import errors
from models.backends.ollama.api import Installed, OllamaApi, untagged
from models.drivers import RAM, DriverContext, Need, Progress
from models.spec import ModelSpec, Task

if TYPE_CHECKING:
    from models.backends.ollama.chat import OllamaChat

log = logging.getLogger(__name__)

PROBE_KEEP_S = 3.0
GONE_WITHIN_S = 20.0
DEFAULT_NUM_CTX = 8192
MEMORY_OF_FILE = 1.2  # weights and a context, as a share of the file; replaced by measurement
# Changing one of these makes Ollama load the model anew, so each model has them fixed.
RUNNER_OPTIONS = ("num_ctx", "num_gpu", "num_thread")


class OllamaOptions(Options):
    """`options:` of a model of this back end."""

    timeout_s: float = Field(300.0, gt=0, description="Longest silence while it answers.")
    load_timeout_s: float = Field(300.0, gt=0)
    num_ctx: int | None = Field(
        None, ge=64, description="Context in tokens; default 8192, or less where it has less."
    )
    num_gpu: int | None = None
    num_thread: int | None = None
    num_predict: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    repeat_penalty: float | None = None
    seed: int | None = None
    stop: list[str] | None = None
    reasoning: bool | str | None = None

    def sampling(self) -> dict[str, Any]:
        """What goes with each request."""
        own = {"timeout_s", "load_timeout_s"}
        return self.model_dump(exclude=own, exclude_none=True)


class OllamaSettings(Options):
    """`backends: ollama:` in models.yaml."""

    prefer: list[str] = Field(default_factory=list)


class OllamaModel:
    """A model that Ollama holds for us."""

    def __init__(
        self, api: OllamaApi, source: str, chat: OllamaChat, lost: asyncio.Future[str]
    ) -> None:
        self._api = api
        self._source = source
        self._chat = chat
        self._lost = lost
        self._memory: Mapping[str, int] | None = None

    @property
    def capability(self) -> OllamaChat:
        return self._chat

    @property
    def memory(self) -> Mapping[str, int] | None:
        return self._memory

    @property
    def lost(self) -> asyncio.Future[str]:
        return self._lost

    async def measure(self) -> None:
        """Learn what it takes of this machine's memory, by Ollama's own estimate."""
        if not is_local(self._api.url):
            self._memory = {}
            return
        for held in await self._api.running():
            if held.name == self._source:
                self._memory = {RAM: max(held.size_bytes - held.vram_bytes, 0)}

    async def unload(self) -> None:
        await release(self._api, self._source)
        await self.close()

    async def close(self) -> None:
        """Give back connections; may be called again."""
        await self._chat.aclose()


class OllamaDriver:
    """One Ollama server, at `settings.ollama_url`."""

    def __init__(self, context: DriverContext) -> None:
        self._api = OllamaApi(context.settings.ollama_url)
        self._settings = OllamaSettings.of("backends.ollama", context.options)
        self._abilities: dict[str, tuple[str, ...] | None] = {}
        self._probe = Probe(self._look, PROBE_KEEP_S)
        self._sizes: dict[str, Installed] = {}
        self._held: dict[str, OllamaModel] = {}

    async def available(self, spec: ModelSpec) -> str | None:
        try:
            OllamaOptions.of(spec.name, spec.options)
            await self._find(spec)
        except MotetError as error:
            return error.message
        return None

    async def discover(self, task: Task) -> Sequence[ModelSpec]:
        if task != "chat":
            return ()
        chats = [model for model in await self._probe.get() if model.chats]
        ranked = sorted(chats, key=lambda model: self._rank(model.name))  # stable: newest first
        return [_spec(model.name) for model in ranked]

    def named(self, source: str, task: Task) -> ModelSpec | None:
        return _spec(untagged(source)) if task == "chat" else None

    def estimate(self, spec: ModelSpec) -> Sequence[Need]:
        if not is_local(self._api.url):
            return [Need()]
        if spec.memory_bytes is not None:
            return [Need({RAM: spec.memory_bytes})]
        known = self._sizes.get(untagged(spec.source))
        return [Need({RAM: int(known.size_bytes * MEMORY_OF_FILE)} if known else {})]

    async def load(self, spec: ModelSpec, need: Need, progress: Progress) -> OllamaModel:
        from models.backends.ollama.chat import OllamaChat

        options = OllamaOptions.of(spec.name, spec.options)
        self._probe.forget()
        installed = await self._find(spec)
        source = installed.name
        sampling = {**options.sampling(), "num_ctx": _num_ctx(options, installed)}
        runner = {name: sampling[name] for name in RUNNER_OPTIONS if name in sampling}
        lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        try:
            await self._api.load(source, runner, options.load_timeout_s)
            chat = OllamaChat(
                url=self._api.url,
                model=source,
                silence_s=options.timeout_s,
                on_unreachable=lambda reason: self._lose(lost, reason),
                keep_alive=-1,
                **sampling,
            )
            model = OllamaModel(self._api, source, chat, lost)
            await model.measure()
        except BaseException:  # also when cancelled: Ollama would keep it for ever
            await release(self._api, source, within_s=0.5)
            raise
        if lost_one := self._held.get(spec.name):  # what is lost is not unloaded
            await lost_one.close()
        self._held[spec.name] = model
        return model

    async def close(self) -> None:
        for model in self._held.values():
            await model.close()
        await self._probe.close()
        await self._api.close()

    async def _look(self) -> list[Installed]:
        models = await self._api.installed()
        self._sizes = {model.name: model for model in models}
        return [await self._with_abilities(model) for model in models]

    async def _with_abilities(self, model: Installed) -> Installed:
        """Servers before 0.30 tell the capabilities of a model only when asked for that model."""
        if model.capabilities is not None:
            return model
        if model.digest not in self._abilities:
            self._abilities[model.digest] = await self._api.capabilities(model.name)
        return replace(model, capabilities=self._abilities[model.digest])

    async def _find(self, spec: ModelSpec) -> Installed:
        """The installed model of a spec. Raises `Unavailable` or `Invalid` saying what to do."""
        if spec.task != "chat":
            raise Invalid(f"{spec.name}: Ollama serves chat, not {spec.task}.", code="wrong_task")
        wanted = untagged(spec.source).lower()
        for model in await self._probe.get():
            if model.name.lower() == wanted:
                if not model.chats:
                    what = ", ".join(model.capabilities or ["embedding"])
                    raise Invalid(
                        f"'{model.name}' cannot chat; it is for {what}.", code="model_unable"
                    )
                return model
        raise errors.missing(spec.source)

    def _rank(self, name: str) -> int:
        patterns = self._settings.prefer
        ranks = [rank for rank, pattern in enumerate(patterns) if fnmatchcase(name, pattern)]
        return ranks[0] if ranks else len(patterns)

    def _lose(self, lost: asyncio.Future[str], reason: str) -> None:
        self._probe.forget()
        if not lost.done():
            lost.set_result(reason)


async def release(api: OllamaApi, source: str, within_s: float = GONE_WITHIN_S) -> None:
    """Have Ollama unload a model and see that it did; a server that is down holds nothing."""
    try:
        await api.unload(source)
        if not await api.gone(source, within_s):
            log.warning("Ollama still holds '%s' %g s after it was unloaded.", source, within_s)
    except MotetError as error:
        log.info("'%s' could not be unloaded: %s", source, error.message)


def _spec(source: str) -> ModelSpec:
    fields = {"name": f"ollama/{source}", "task": "chat", "backend": "ollama", "source": source}
    return ModelSpec.model_validate(fields)


def _num_ctx(options: OllamaOptions, installed: Installed) -> int:
    if options.num_ctx is not None:
        return options.num_ctx
    return min(DEFAULT_NUM_CTX, installed.context_length or DEFAULT_NUM_CTX)
