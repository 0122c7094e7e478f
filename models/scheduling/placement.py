"""Where a model of ours could run: on an accelerator, or on the CPU. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from config.errors import Unavailable
from models.catalog.spec import ModelSpec
from models.devices import CPU, RAM
from models.devices.accelerator import Accelerator
from models.scheduling.requirement import MemoryRequirement


def placements(
    spec: ModelSpec,
    accelerators: Sequence[Accelerator],
    *,
    device_bytes: int,
    host_bytes: int,
    cpu_bytes: int,
) -> list[MemoryRequirement]:
    """Every place for a model, the preferred first.

    `device_bytes`: on an accelerator, and `host_bytes` its process beside it; `cpu_bytes`: all of
    it in RAM. Raises `Unavailable` ("device_missing") where `spec` allows only devices that this
    machine lacks or that PyTorch cannot use.
    """
    on_cpu = MemoryRequirement({RAM: cpu_bytes}, CPU)
    if spec.device == "cpu":
        return [on_cpu]
    usable = [each for each in accelerators if not each.problem]
    wanted = [each for each in usable if _meant(each.name, spec.device)]
    places = [_on(each, device_bytes, host_bytes) for each in wanted]
    if not places and not spec.cpu_fallback:
        raise _missing(spec, accelerators)
    return [*places, on_cpu] if spec.cpu_fallback else places


def _missing(spec: ModelSpec, accelerators: Sequence[Accelerator]) -> Unavailable:
    there = [f"{each.name} ({each.problem or each.model})" for each in accelerators]
    wanted = "an accelerator" if spec.device == "auto" else f"'{spec.device}'"
    return Unavailable(
        f"'{spec.name}' may compute on {wanted} alone, which cannot be had here: there is "
        f"{', '.join(there) or 'no GPU'}. `device` and `cpu_fallback` in models.yaml say where.",
        code="device_missing",
        details={"field": "device", "model": spec.name, "device": spec.device},
        permanent=True,
    )


def _meant(name: str, device: str) -> bool:
    return device in ("auto", name) or name.split(":")[0] == device


def _on(accelerator: Accelerator, device_bytes: int, host_bytes: int) -> MemoryRequirement:
    if accelerator.unified:
        return MemoryRequirement({RAM: device_bytes + host_bytes}, accelerator.name)
    return MemoryRequirement({accelerator.name: device_bytes, RAM: host_bytes}, accelerator.name)
