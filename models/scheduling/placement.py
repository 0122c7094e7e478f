"""Where a model in a worker of ours could run: on an accelerator, or on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

from config.errors import Unavailable
from models.catalog.spec import ModelSpec
from models.devices import CPU, RAM
from models.devices.accelerator import Accelerator
from models.scheduling.requirement import MemoryRequirement


def list_placements(
    spec: ModelSpec,
    accelerators: Sequence[Accelerator],
    *,
    device_bytes: int,
    host_bytes: int,
    cpu_bytes: int,
) -> list[MemoryRequirement]:
    """List where a model could run, the preferred place first.

    `device_bytes`: on an accelerator, and `host_bytes` its process beside it; `cpu_bytes`: all of
    it in RAM. Raises `Unavailable` (`device_missing`) where `spec` allows only devices that this
    machine lacks or that PyTorch cannot use.
    """
    on_cpu = MemoryRequirement({RAM: cpu_bytes}, CPU)
    if spec.device == "cpu":
        return [on_cpu]
    usable = [each for each in accelerators if not each.problem]
    allowed = [each for each in usable if _is_allowed(each.name, spec.device)]
    on_devices = [_on(each, device_bytes, host_bytes) for each in allowed]
    if not on_devices and not spec.cpu_fallback:
        raise _device_missing(spec, accelerators)
    return [*on_devices, on_cpu] if spec.cpu_fallback else on_devices


def _device_missing(spec: ModelSpec, accelerators: Sequence[Accelerator]) -> Unavailable:
    present = [f"{each.name} ({each.problem or each.model})" for each in accelerators]
    required = "an accelerator" if spec.device == "auto" else f"'{spec.device}'"
    return Unavailable(
        f"'{spec.name}' may compute on {required} alone, which cannot be had here: there is "
        f"{', '.join(present) or 'no GPU'}. `device` and `cpu_fallback` in models.yaml say where.",
        code="device_missing",
        details={"field": "device", "model": spec.name, "device": spec.device},
        permanent=True,
    )


def _is_allowed(name: str, device: str) -> bool:
    """Tell whether `device` of a spec means the accelerator: by its name, or all of its kind."""
    return device in ("auto", name) or name.split(":")[0] == device


def _on(accelerator: Accelerator, device_bytes: int, host_bytes: int) -> MemoryRequirement:
    if accelerator.unified:
        return MemoryRequirement({RAM: device_bytes + host_bytes}, accelerator.name)
    return MemoryRequirement({accelerator.name: device_bytes, RAM: host_bytes}, accelerator.name)
