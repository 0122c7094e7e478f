"""What a model of Ollama takes of this machine, before it was ever loaded. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.backends.ollama.listing import RunningModel
from models.catalog.spec import ModelSpec
from models.devices import CPU, RAM
from models.devices.accelerator import Accelerator
from models.scheduling.requirement import MemoryRequirement

SHARE_OF_FILE = 1.2
"""Weights and a context, where the model's shape is not known."""
WEIGHTS_OF_FILE = 1.05
WORK_BYTES = 300_000_000
"""Buffers of a computation, and what a GPU's context takes."""
RUNNER_BYTES = 300_000_000
"""Of RAM, beside what is on an accelerator."""
COMPUTES = ("nvidia", "amd", "apple")
"""With Intel's accelerators Ollama computes on the CPU."""


def total_bytes(size_bytes: int, token_bytes: int, num_ctx: int) -> int:
    """Add up weights, context and buffers."""
    if not token_bytes:
        return int(size_bytes * SHARE_OF_FILE)
    return int(size_bytes * WEIGHTS_OF_FILE) + token_bytes * num_ctx + WORK_BYTES


def needs(
    spec: ModelSpec,
    accelerators: Sequence[Accelerator],
    bytes_needed: int,
    *,
    gpu_layers: int | None,
    share: str,
) -> list[MemoryRequirement]:
    """Estimate every place where Ollama could put it, the preferred first.

    Ollama chooses the accelerator itself: the emptiest that it fits in, else all of them.
    """
    on_cpu = MemoryRequirement({RAM: bytes_needed} if bytes_needed else {}, CPU, share)
    usable = [each for each in accelerators if each.vendor in COMPUTES and _meant(each, spec)]
    if spec.device == "cpu" or gpu_layers == 0 or not usable:
        return [on_cpu]
    requirements = [_on([each], bytes_needed, share) for each in usable]
    if len(usable) > 1:
        requirements.append(_on(usable, bytes_needed, share))
    return [*requirements, on_cpu] if spec.cpu_fallback else requirements


def measured(held: RunningModel, need: MemoryRequirement) -> Mapping[str, int]:
    """Return what it takes by Ollama's own estimate, on the devices of its place."""
    devices = [device for device in need.memory if device != RAM]
    in_ram = max(held.size_bytes - held.vram_bytes, 0)
    if not devices:  # the CPU, or a machine whose accelerator shares its memory
        return {RAM: in_ram + held.vram_bytes if need.device != CPU else in_ram}
    part = held.vram_bytes // len(devices)
    return {RAM: in_ram, **dict.fromkeys(devices, part)}


def _on(accelerators: Sequence[Accelerator], bytes_needed: int, share: str) -> MemoryRequirement:
    first = accelerators[0]
    if first.unified:
        return MemoryRequirement({RAM: bytes_needed}, first.name, share)
    part = bytes_needed // len(accelerators)
    memory = {each.name: part for each in accelerators}
    return MemoryRequirement({**memory, RAM: RUNNER_BYTES}, first.name, share)


def _meant(accelerator: Accelerator, spec: ModelSpec) -> bool:
    name, device = accelerator.name, spec.device
    return device in ("auto", name) or name.split(":")[0] == device
