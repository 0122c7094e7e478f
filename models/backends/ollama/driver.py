"""Models of an Ollama server: finds what is installed, loads it, unloads it.

Owns what this process asked Ollama to hold, by weights (`loaded_models`), and notices when the
server or a runner went. Invariants: weights are loaded once however many names they have, and are
unloaded with the last of them; only Ollama's own list says that memory is free.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from config.errors import Invalid, MotetError
from models.availability import Reason
from models.backends.common.network import is_local
from models.backends.common.single_flight import SingleFlightCache
from models.backends.ollama import errors
from models.backends.ollama.api import OllamaApi
from models.backends.ollama.capability import capability_of
from models.backends.ollama.connection import ConnectionMonitor
from models.backends.ollama.listing import Details, Installed, untagged
from models.backends.ollama.loaded_models import LoadedModels, OllamaModel, release
from models.backends.ollama.needs import needs, total_bytes
from models.backends.ollama.options import (
    DEFAULT_NUM_CTX,
    RUNNER_OPTIONS,
    OllamaOptions,
    OllamaSettings,
)
from models.backends.ollama.pull import pull
from models.backends.ollama.server import OllamaServer
from models.catalog.spec import ModelSpec, Task
from models.devices import CPU
from models.driver import DriverContext, Progress
from models.scheduling.requirement import MemoryRequirement

log = logging.getLogger(__name__)

PROBE_KEEP_S = 3.0
STARTED_WITHIN_S = 1.0
BACK_WITHIN_S = 6.0
"""A server that went during a load is awaited so long; its systemd unit starts it after 3 s."""
SERVER_GONE = ("ollama_unreachable", "model_connection_lost")
TASKS = ("chat", "caption", "embed")
UNABLE = {"chat": "chat", "caption": "look at pictures", "embed": "embed"}


class OllamaDriver:
    """One Ollama server, at `settings.ollama_url`."""

    def __init__(self, context: DriverContext) -> None:
        self._api = OllamaApi(context.settings.ollama_url)
        self._settings = OllamaSettings.of("backends.ollama", context.options)
        self._context = context
        self._local = is_local(self._api.url)
        self._details: dict[str, Details] = {}
        self._probe = SingleFlightCache(self._list_installed, PROBE_KEEP_S)
        self._known: dict[str, Installed] = {}
        self._loaded_models: dict[str, LoadedModels] = {}
        self._lost: list[OllamaModel] = []
        self.server = OllamaServer(
            self._settings, self._api.url, context.accelerators, str(context.settings.home)
        )
        self._connection = ConnectionMonitor(self._api.url, self._still_holds)

    async def available(self, spec: ModelSpec) -> str | None:
        try:
            OllamaOptions.of(spec.name, spec.options)
            await self._find(spec)
        except MotetError as error:
            return Reason.of(error)
        return None

    async def discover(self, task: Task) -> Sequence[ModelSpec]:
        if task not in TASKS:
            return ()
        able = [model for model in await self._probe.get() if model.can(task)]
        ranked = sorted(able, key=lambda model: self._rank(model.name))  # stable: newest first
        return [_spec(model.name, task) for model in ranked]

    def named(self, source: str, task: Task) -> ModelSpec | None:
        return _spec(untagged(source), task) if task in TASKS else None

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        if not self._local:
            return [MemoryRequirement()]
        options = OllamaOptions.of(spec.name, spec.options)
        known = self._known.get(untagged(spec.source).lower())
        details = self._details.get(known.digest) if known else None
        bytes_needed = spec.memory_bytes
        if bytes_needed is None:
            num_ctx = _num_ctx(options, known, details)
            token_bytes = details.token_bytes if details else 0
            bytes_needed = total_bytes(known.size_bytes, token_bytes, num_ctx) if known else 0
        share = f"ollama:{details.weights}" if details and details.weights else ""
        if details and (loaded := self._loaded_models.get(details.weights)) and loaded.models:
            return [loaded.models[0].need]  # where its weights are already, they stay
        return needs(
            spec, self._context.accelerators, bytes_needed, gpu_layers=options.num_gpu, share=share
        )

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> OllamaModel:
        options = OllamaOptions.of(spec.name, spec.options)
        await self._close_lost()
        self._probe.forget()
        installed = await self._find(spec)
        details = self._details[installed.digest]
        weights = details.weights or installed.digest
        loaded = self._loaded_models.setdefault(weights, LoadedModels())
        runner = self._runner_options(options, installed, details, need)
        async with loaded.lock:
            try:
                return await self._load_weights(spec, need, options, installed, loaded, runner)
            except MotetError as error:
                if error.code in SERVER_GONE:
                    # One that is restarted answers in a moment, when the scheduler tries again.
                    await self._api.wait_answering(BACK_WITHIN_S)
                raise

    async def pull(self, source: str, progress: Progress) -> None:
        """Pull as `Puller.pull` does: Ollama gets it, and goes on where it was left."""
        try:
            await self._api.version()
        except MotetError as error:
            if error.code != "ollama_unreachable" or not self.server.plan.ways:
                raise
            await self.server.start(progress)
        await pull(self._api, source, progress)
        self._probe.forget()

    async def close(self) -> None:
        await self._close_lost()
        for loaded in self._loaded_models.values():
            for model in loaded.models:
                await model.close()
        await self._connection.close()
        await self._probe.close()
        await self._api.close()
        await self.server.stop()

    async def _load_weights(
        self,
        spec: ModelSpec,
        need: MemoryRequirement,
        options: OllamaOptions,
        installed: Installed,
        loaded: LoadedModels,
        runner: Mapping[str, Any],
    ) -> OllamaModel:
        """Load the weights, or join who holds them already."""
        source, runner = installed.name, loaded.widened(runner)
        model: OllamaModel | None = None

        def lost(reason: str) -> None:
            # An answer that was read late may tell of the runner before this one.
            if model is None or model in loaded.models:
                self._mark_lost(loaded.models, reason)

        try:
            embeds = spec.task == "embed"
            await self._api.load(
                source, runner, options.load_timeout_s, called=spec.name, embeds=embeds
            )
            capability = await capability_of(self._api, spec, installed, options, runner, lost)
            free = self._context.available_bytes
            model = OllamaModel(self._api, source, capability, loaded, need, free)
            await model.measure()
        except BaseException:
            if not loaded.models:
                await asyncio.shield(release(self._api, source))
            if model:
                await model.close()
            raise
        loaded.enter(model, runner)
        self._connection.watch()
        return model

    async def _list_installed(self) -> list[Installed]:
        try:
            installed = await self._api.installed()
        except MotetError as error:
            if error.code != "ollama_unreachable" or not self.server.plan.ways:
                error.details["installed"] = bool(self._known) or self.server.installed
                raise
            await self.server.ensure_started(STARTED_WITHIN_S)
            installed = await self._api.installed()
        models = [await self._with_abilities(model) for model in installed]
        self._known = {model.name.lower(): model for model in models}
        return models

    async def _with_abilities(self, model: Installed) -> Installed:
        """Ask for the capabilities that servers before 0.30 do not list."""
        if model.capabilities is not None:
            return model
        details = await self._get_details(model)
        return replace(
            model,
            capabilities=details.capabilities,
            context_length=model.context_length or details.context_length,
        )

    async def _get_details(self, model: Installed) -> Details:
        """Ask for details, once: a digest never means another model."""
        if model.digest not in self._details:
            self._details[model.digest] = await self._api.details(model.name)
        return self._details[model.digest]

    async def _find(self, spec: ModelSpec) -> Installed:
        """Find the installed model of a spec. Raises `Unavailable` or `Invalid`."""
        if spec.task not in TASKS:
            raise Invalid(
                f"{spec.name}: Ollama serves {', '.join(TASKS)}, not {spec.task}.",
                code="task_unsupported",
            )
        name = untagged(spec.source).lower()
        for model in await self._probe.get():
            if model.name.lower() == name:
                if not model.can(spec.task):
                    what = ", ".join(model.capabilities or ["something else"])
                    raise Invalid(
                        f"'{spec.name}' cannot {UNABLE[spec.task]}; it is for {what}.",
                        code="capability_unsupported",
                    )
                await self._get_details(model)
                return model
        raise errors.missing(spec.name, spec.source)

    def _runner_options(
        self,
        options: OllamaOptions,
        installed: Installed,
        details: Details,
        need: MemoryRequirement,
    ) -> dict[str, Any]:
        chosen = options.model_dump(include=set(RUNNER_OPTIONS), exclude_none=True)
        if self._local and self._context.accelerators and need.device == CPU:
            chosen["num_gpu"] = 0
        return {**chosen, "num_ctx": _num_ctx(options, installed, details)}

    def _rank(self, name: str) -> int:
        patterns = self._settings.prefer
        ranks = [rank for rank, pattern in enumerate(patterns) if fnmatchcase(name, pattern)]
        return ranks[0] if ranks else len(patterns)

    def _mark_lost(self, models: Sequence[OllamaModel], reason: str) -> None:
        self._probe.forget()
        for model in list(models):
            model.mark_lost(reason)
            self._lost.append(model)

    async def _close_lost(self) -> None:
        """Close what was lost: not at once, since its callers were still being told."""
        lost, self._lost = self._lost, []
        for model in lost:
            await model.close()

    async def _still_holds(self) -> bool:
        """Tell whether the server still has anything of ours, and mark what is lost."""
        held, reason = self._held(), "Ollama was started anew."
        try:
            listed = {each.name for each in await self._api.running()}
        except MotetError as error:
            if error.code == "model_connection_lost":
                return bool(held)  # by its next answer it is known
            listed, reason = set(), error.message
        # What was unloaded while we asked is not lost; what was loaded meanwhile is not listed.
        lost = [each for each in self._held() if each in held and not each.listed_in(listed)]
        self._mark_lost(lost, reason)
        return bool(self._held())

    def _held(self) -> list[OllamaModel]:
        return [model for each in self._loaded_models.values() for model in each.models]


def _spec(source: str, task: Task) -> ModelSpec:
    fields = {"name": f"ollama/{source}", "task": task, "backend": "ollama", "source": source}
    return ModelSpec.model_validate(fields)


def _num_ctx(options: OllamaOptions, installed: Installed | None, details: Details | None) -> int:
    """Return the context to load with: never more than the model has, as Ollama itself does it."""
    known_length = (installed.context_length if installed else None) or (
        details.context_length if details else None
    )
    num_ctx = options.num_ctx or DEFAULT_NUM_CTX
    return min(num_ctx, known_length or num_ctx)
