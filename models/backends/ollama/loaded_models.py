"""What Ollama holds for us: the weights, under all the names that they have.

Owns which of our models use one set of weights. Invariant: under the lock of a set, loads and
unloads of it never overlap.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from config.errors import MotetError
from models.backends.common.network import is_local
from models.backends.ollama import needs
from models.backends.ollama.api import OllamaApi
from models.scheduling.requirement import MemoryRequirement

log = logging.getLogger(__name__)

UNLOADED_WITHIN_S = 20.0
STABLE_WITHIN_S = 2.0
STABLE_PAUSE_S = 0.05

Free = Callable[[], Mapping[str, int]]


class Served(Protocol):
    """A capability of ours over Ollama."""

    async def aclose(self) -> None: ...

    def fix(self, options: Mapping[str, Any]) -> None:
        """Ask with these options of the runner from now on; others would load it anew."""
        ...


class LoadedModels:
    """One set of weights in Ollama's memory. `lock` keeps loads and unloads of it apart."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.options: dict[str, Any] = {}
        self.models: list[OllamaModel] = []
        # Ollama lists weights by the name that came first, also when we let that one go.
        self.names: set[str] = set()

    def widened(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Combine the options that serve everyone: of the first, with the longest context."""
        if not self.models:
            return dict(options)
        longest = max(self.options.get("num_ctx", 0), options.get("num_ctx", 0))
        return {**self.options, "num_ctx": longest}

    def enter(self, model: OllamaModel, options: Mapping[str, Any]) -> None:
        self.options = dict(options)
        self.models.append(model)
        self.names.add(model.source)
        for each in self.models:
            each.share(options, model.memory)

    def leave(self, model: OllamaModel) -> set[str]:
        """Return the names under which Ollama may list what may go now: none while it is used."""
        if model in self.models:
            self.models.remove(model)
        if self.models:
            return set()
        names, self.names = self.names, set()
        return names | {model.source}


class OllamaModel:
    """A model that Ollama holds for us, as `source`."""

    def __init__(
        self,
        api: OllamaApi,
        source: str,
        capability: Served,
        loaded: LoadedModels,
        need: MemoryRequirement,
        free: Free,
    ) -> None:
        self.source = source
        self._api = api
        self._capability = capability
        self._loaded_models = loaded
        self.need = need
        self._free = free
        self._memory: Mapping[str, int] | None = None
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def capability(self) -> Any:
        return self._capability

    @property
    def memory(self) -> Mapping[str, int] | None:
        return self._memory

    async def measure(self) -> None:
        """Learn what it takes of this machine's memory, by Ollama's own estimate."""
        if not is_local(self._api.url):
            self._memory = {}
            return
        for held in await self._api.running():
            if held.name in self._loaded_models.names | {self.source}:
                self._memory = needs.measured(held, self.need)

    def share(self, options: Mapping[str, Any], memory: Mapping[str, int] | None) -> None:
        """Take over the options with which another name of its weights had them loaded."""
        self._capability.fix(options)
        self._memory = memory

    def listed_in(self, names: Collection[str]) -> bool:
        """Tell whether Ollama lists its weights, under whichever of their names."""
        return not self._loaded_models.names.isdisjoint(names)

    def mark_lost(self, reason: str) -> None:
        """Complete `lost`: the model is not in memory any more."""
        self._loaded_models.leave(self)
        if not self.lost.done():
            self.lost.set_result(reason)

    async def unload(self) -> None:
        async with self._loaded_models.lock:
            if names := self._loaded_models.leave(self):
                await release(self._api, self.source, names)
                await wait_memory_stable(self._free, self._memory or {})
        self.lost.cancel()
        await self.close()

    async def close(self) -> None:
        """Give back connections; may be called again."""
        await self._capability.aclose()


async def release(
    api: OllamaApi,
    source: str,
    names: Collection[str] = (),
    within_s: float = UNLOADED_WITHIN_S,
) -> None:
    """Have Ollama unload a model and see that it did; a server that is down holds nothing.

    `names`: under which it may be listed; Ollama lists weights by the name that came first.
    """
    try:
        await api.unload(source)
        if not await api.wait_unloaded({source, *names}, within_s):
            log.warning("Ollama still holds '%s' %g s after it was unloaded.", source, within_s)
    except MotetError as error:
        log.info("'%s' could not be unloaded: %s", source, error.message)


async def wait_memory_stable(
    free: Free, freed: Mapping[str, int], within_s: float = STABLE_WITHIN_S
) -> Mapping[str, int]:
    """Wait until two readings of what is free agree, or time is over; return the last.

    A driver frees memory late.

    Without `freed` there is nothing to wait for.
    """
    before = free()
    watched = [device for device, size in freed.items() if size and device in before]
    ends_s = asyncio.get_running_loop().time() + within_s
    while watched and asyncio.get_running_loop().time() < ends_s:
        await asyncio.sleep(STABLE_PAUSE_S)
        now = free()
        risen = [device for device in watched if now[device] - before[device] > freed[device] // 50]
        before = now
        if not risen:
            break
    return before
