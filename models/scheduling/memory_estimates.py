"""What models were measured to take and how long they load, in place of back ends' estimates.

The estimates are values: `models.estimates_file` keeps them from start to start.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from models.catalog.spec import ModelSpec
from models.devices import RAM
from models.scheduling.requirement import MemoryRequirement

RAISE_FACTOR = 1.25
"""After a model ran out of memory, its need is so many times what it was."""
MAX_RAISE_FACTOR = 2.0
"""And never more times what was measured, however often that happens."""
MAX_MEASUREMENTS = 1000
MIN_CHANGE_SHARE = 0.05
"""A measurement that differs less from the last is not worth a write to the disk."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Of one model on one device: bytes by device. Below `floor` the model ran out of memory."""

    memory: Mapping[str, int]
    load_s: float | None = None
    floor: Mapping[str, int] | None = None


class MemoryEstimates:
    """The measurements of this start and, handed in, of earlier ones, by `_key`."""

    def __init__(self, measurements: Mapping[str, Measurement] | None = None) -> None:
        self._measurements = dict(measurements or {})
        self.changed = False
        """Whether something is worth saving that was not there before."""

    @property
    def measurements(self) -> Mapping[str, Measurement]:
        """Oldest first. For reading only."""
        return self._measurements

    def refine(
        self, spec: ModelSpec, placements: Sequence[MemoryRequirement]
    ) -> tuple[MemoryRequirement, ...]:
        """Put what was measured in place of what was estimated, where it was."""
        return tuple(self._refine(spec, need) for need in placements)

    def load_s(self, spec: ModelSpec, need: MemoryRequirement) -> float | None:
        """Return how long the model took to load there; None when it never was."""
        measurement = self._measurements.get(_key(spec, need))
        return measurement.load_s if measurement else None

    def record(
        self, spec: ModelSpec, need: MemoryRequirement, load_s: float | None = None
    ) -> MemoryRequirement:
        """Remember that the model takes `need`; return what is to be counted for it now."""
        key = _key(spec, need)
        old = self._measurements.get(key)
        floor = old.floor if old else None
        new = Measurement(dict(need.memory), load_s or (old.load_s if old else None), floor)
        if _differs(old, new):
            self._remember(key, new)
        return self._refine(spec, need) if floor else need

    def raise_floor(
        self, spec: ModelSpec, need: MemoryRequirement, caps: Mapping[str, int]
    ) -> MemoryRequirement:
        """Return more than `need`, with which the model ran out of memory, and remember it.

        It is no more than can ever be had, and within reason: others may have taken what the
        model lacked.
        """
        key = _key(spec, need)
        old = self._measurements.get(key) or Measurement(dict(need.memory))
        floor = {}
        for device, size in need.memory.items():
            most = min(old.memory.get(device, size) * MAX_RAISE_FACTOR, caps.get(device, size))
            floor[device] = max(size, int(min(size * RAISE_FACTOR, most)))
        self._remember(key, replace(old, floor=floor))
        return replace(need, memory=floor)

    def _refine(self, spec: ModelSpec, need: MemoryRequirement) -> MemoryRequirement:
        measurement = self._measurements.get(_key(spec, need))
        if measurement is None:
            return need
        floor = measurement.floor or {}
        sizes = measurement.memory.items()
        return replace(need, memory={d: max(size, floor.get(d, 0)) for d, size in sizes})

    def _remember(self, key: str, measurement: Measurement) -> None:
        self._measurements.pop(key, None)  # so that the newest are the last to be dropped
        self._measurements[key] = measurement
        if len(self._measurements) > MAX_MEASUREMENTS:
            del self._measurements[next(iter(self._measurements))]
        self.changed = True


def _key(spec: ModelSpec, need: MemoryRequirement) -> str:
    """Name what is loaded: the same for all that is loaded alike, whatever its name."""
    options = json.dumps([spec.options, spec.memory_bytes], sort_keys=True, default=str)
    digest = hashlib.sha256(options.encode()).hexdigest()[:12]
    devices = sorted(device for device in need.memory if device != RAM)
    where = "+".join(devices) if len(devices) > 1 else need.device
    return f"{spec.backend}/{spec.source or spec.name}:{spec.task} {digest} on {where}"


def _differs(old: Measurement | None, new: Measurement) -> bool:
    """Tell whether it is worth being written down."""
    if old is None or set(old.memory) != set(new.memory):
        return True
    return any(
        abs(new.memory[device] - size) > MIN_CHANGE_SHARE * max(size, 1)
        for device, size in old.memory.items()
    )
