"""Where a model of ours could run: on an accelerator, or on the CPU. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from models.accelerators import Accelerator
from models.drivers import CPU, RAM, Need
from models.spec import ModelSpec


def placements(
    spec: ModelSpec,
    accelerators: Sequence[Accelerator],
    *,
    device_bytes: int,
    host_bytes: int,
    cpu_bytes: int,
) -> list[Need]:
    """Every place for a model, the preferred first.

    `device_bytes`: on an accelerator, and `host_bytes` its process beside it; `cpu_bytes`: all of
    it in RAM. A device that `spec` names but this machine lacks is a place that nothing fits.
    """
    on_cpu = Need({RAM: cpu_bytes}, CPU)
    if spec.device == "cpu":
        return [on_cpu]
    usable = [each for each in accelerators if not each.problem]
    wanted = [each for each in usable if _meant(each.name, spec.device)]
    places = [_on(each, device_bytes, host_bytes) for each in wanted]
    if spec.device != "auto" and not places:
        return [Need({spec.device: device_bytes, RAM: host_bytes}, spec.device)]
    return [*places, on_cpu] if spec.cpu_fallback or not places else places


def _meant(name: str, device: str) -> bool:
    return device in ("auto", name) or name.split(":")[0] == device


def _on(accelerator: Accelerator, device_bytes: int, host_bytes: int) -> Need:
    if accelerator.unified:
        return Need({RAM: device_bytes + host_bytes}, accelerator.name)
    return Need({accelerator.name: device_bytes, RAM: host_bytes}, accelerator.name)
