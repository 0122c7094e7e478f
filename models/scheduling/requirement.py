"""The memory that a model takes: what a back end estimates and the scheduler reserves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from models.devices import CPU


@dataclass(frozen=True, slots=True)
class MemoryRequirement:
    """Memory that a model takes: bytes by device; nothing when it lives elsewhere.

    `device` is where it computes, by torch's name ("cpu", "cuda:0", "mps"); `memory` names it,
    and "ram" for what its process takes of the machine's own memory.
    """

    memory: Mapping[str, int] = field(default_factory=dict)
    device: str = CPU
    share: str = ""
    """Models with the same share and device hold the same memory (two names for one file in
    Ollama): it is counted once, and is free when the last of them is unloaded. "": its own."""

    @property
    def memory_bytes(self) -> int:
        """On all devices together."""
        return sum(self.memory.values())
