"""What Ollama tells of its models: those installed, what each can do, those in memory. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

# Families of models that only embed, for servers too old to tell capabilities.
_EMBEDDERS = {"bert", "nomic-bert", "nomic-bert-moe"}
_BLOBS = re.compile(r"^(?:FROM|ADAPTER) .*?(sha256-[0-9a-f]+)", re.MULTILINE)
_ABILITY = {"chat": "completion", "caption": "vision", "embed": "embedding"}
HALF_BYTES = 2  # a number of the cache of keys and values


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
        return self.can("chat")

    def can(self, task: str) -> bool:
        """Tell whether it serves one of our tasks."""
        if task not in _ABILITY:
            return False
        if self.capabilities is None:
            embeds = self.family in _EMBEDDERS
            return embeds if task == "embed" else task == "chat" and not embeds
        return _ABILITY[task] in self.capabilities


@dataclass(frozen=True, slots=True)
class Details:
    """What `/api/show` tells: what a model can do, and what its memory depends on.

    `weights` names its files by digest: models of the same weights share one place in memory.
    `token_bytes` is what a token of context takes; 0 when not known.
    """

    capabilities: tuple[str, ...] | None
    context_length: int | None
    weights: str
    token_bytes: int


@dataclass(frozen=True, slots=True)
class RunningModel:
    """A model that Ollama holds in memory, by its own estimate."""

    name: str
    size_bytes: int
    vram_bytes: int


def untagged(name: str) -> str:
    """Strip the default tag, so that one model has one name."""
    return name.removesuffix(":latest")


def installed(entry: dict[str, Any]) -> Installed:
    """Parse an entry of `/api/tags`."""
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


def running(entry: dict[str, Any]) -> RunningModel:
    """Parse an entry of `/api/ps`."""
    return RunningModel(untagged(entry["name"]), entry.get("size", 0), entry.get("size_vram", 0))


def details(answer: dict[str, Any]) -> Details:
    """Parse the answer of `/api/show`."""
    info = answer.get("model_info") or {}
    listed = answer.get("capabilities")
    return Details(
        capabilities=None if listed is None else tuple(listed),
        context_length=_number(info, "context_length"),
        weights="+".join(_BLOBS.findall(answer.get("modelfile") or "")),
        token_bytes=_token_bytes(info),
    )


def _token_bytes(info: dict[str, Any]) -> int:
    heads, width = _number(info, "attention.head_count"), _number(info, "embedding_length")
    layers, pairs = _number(info, "block_count"), _heads(info)
    if not (heads and width and layers and pairs):
        return 0
    usual = width // heads
    key = _number(info, "attention.key_length") or usual
    value = _number(info, "attention.value_length") or usual
    # Told for each layer where layers differ; else the same in all.
    total = sum(pairs) if len(pairs) > 1 else pairs[0] * layers
    return total * (key + value) * HALF_BYTES


def _heads(info: dict[str, Any]) -> list[int]:
    heads = _value(info, "attention.head_count_kv")
    listed = heads if isinstance(heads, list) else [heads]
    return [each for each in listed if isinstance(each, int)]


def _number(info: dict[str, Any], field: str) -> int | None:
    value = _value(info, field)
    return value if isinstance(value, int) else None


def _value(info: dict[str, Any], field: str) -> Any:
    return info.get(f"{info.get('general.architecture', '')}.{field}")
