"""The part of Ollama's API that finds, loads and unloads models."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import httpx

from models.backends.common.network import CONNECT_TIMEOUT_S, PROBE_TIMEOUT_S, is_local
from models.backends.ollama import errors

# Families of models that only embed, for servers too old to tell capabilities.
_EMBEDDERS = {"bert", "nomic-bert", "nomic-bert-moe"}


@dataclass(frozen=True, slots=True)
class Installed:
    """A model that Ollama has."""

    name: str
    digest: str
    size_bytes: int
    modified_at: str
    capabilities: tuple[str, ...] | None
    context_length: int | None
    family: str

    @property
    def chats(self) -> bool:
        if self.capabilities is None:
            return self.family not in _EMBEDDERS
        return "completion" in self.capabilities


@dataclass(frozen=True, slots=True)
class Running:
    """A model that Ollama holds in memory, by its own estimate."""

    name: str
    size_bytes: int
    vram_bytes: int


def untagged(name: str) -> str:
    """The name without the default tag, so that one model has one name."""
    return name.removesuffix(":latest")


class OllamaApi:
    """One server. Raises `Unavailable("ollama_unreachable")` where it does not answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client: httpx.AsyncClient | None = None

    async def installed(self) -> list[Installed]:
        """Every installed model, the one changed last first."""
        answer = await self._call("GET", "/api/tags", timeout_s=PROBE_TIMEOUT_S)
        found = [_installed(entry) for entry in answer.get("models") or []]
        return sorted(found, key=lambda model: model.modified_at, reverse=True)

    async def capabilities(self, name: str) -> tuple[str, ...] | None:
        """What a model can do, asked of the model; None where the server does not know."""
        answer = await self._call("POST", "/api/show", {"model": name}, PROBE_TIMEOUT_S)
        listed = answer.get("capabilities")
        return None if listed is None else tuple(listed)

    async def running(self) -> list[Running]:
        answer = await self._call("GET", "/api/ps", timeout_s=PROBE_TIMEOUT_S)
        return [
            Running(untagged(each["name"]), each.get("size", 0), each.get("size_vram", 0))
            for each in answer.get("models") or []
        ]

    async def load(self, name: str, options: dict[str, Any], timeout_s: float) -> None:
        """Load a model with these options and keep it until told otherwise."""
        body = {"model": name, "keep_alive": -1, "options": options, "stream": False}
        await self._call("POST", "/api/generate", body, timeout_s)

    async def unload(self, name: str) -> None:
        """Ask for a model to go. It stays while it answers: see `gone`."""
        body = {"model": name, "keep_alive": 0, "stream": False}
        await self._call("POST", "/api/generate", body, PROBE_TIMEOUT_S)

    async def gone(self, name: str, within_s: float) -> bool:
        """Whether the model left memory within that time. Ollama tells nobody: we have to ask."""
        pause_s = 0.02
        try:
            async with asyncio.timeout(within_s):
                while any(untagged(name) == held.name for held in await self.running()):
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 2, 0.5)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _call(
        self, verb: str, path: str, body: dict[str, Any] | None = None, timeout_s: float = 10.0
    ) -> dict[str, Any]:
        model = str((body or {}).get("model", ""))
        if self._client is None:
            # A proxy of the environment is for other machines.
            self._client = httpx.AsyncClient(trust_env=not is_local(self.url))
        try:
            response = await self._client.request(
                verb,
                self.url.rstrip("/") + path,
                json=body,
                timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s)),
            )
            answer = response.json()
        except httpx.TimeoutException as error:
            if body is None:
                raise errors.unreachable(self.url, f"silent for {timeout_s:g} s") from error
            raise errors.from_transport(error, self.url, model, timeout_s) from error
        except httpx.HTTPError as error:
            raise errors.from_transport(error, self.url, model, timeout_s) from error
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise errors.no_ollama(self.url) from error
        if not isinstance(answer, dict):
            raise errors.no_ollama(self.url)
        if response.status_code >= 400 or answer.get("error"):
            text = str(answer.get("error", response.reason_phrase))
            raise errors.from_answer(response.status_code, text, model)
        return answer


def _installed(entry: dict[str, Any]) -> Installed:
    details = entry.get("details") or {}
    listed = entry.get("capabilities")
    return Installed(
        name=untagged(entry["name"]),
        digest=entry.get("digest", ""),
        size_bytes=entry.get("size", 0),
        modified_at=entry.get("modified_at", ""),
        capabilities=None if listed is None else tuple(listed),
        context_length=details.get("context_length"),
        family=details.get("family", ""),
    )
