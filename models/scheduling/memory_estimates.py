"""What models were measured to take and how long they load, remembered for the next start."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from models.catalog.spec import ModelSpec
from models.devices import RAM
from models.scheduling.requirement import MemoryRequirement

log = logging.getLogger(__name__)

RAISE = 1.25
"""After a model ran out of memory, its need is so many times what it was."""
MOST = 2.0
"""And never more times what was measured, however often that happens."""
KEPT = 1000
ENOUGH_CHANGE = 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one model on one device. `floor`: below it the model ran out of memory."""

    memory: Mapping[str, int]
    load_s: float | None = None
    floor: Mapping[str, int] | None = None


FILE = TypeAdapter(dict[str, Measured])


class MemoryEstimates:
    """The measurements; with a `file`, those of earlier starts too. `save` writes them."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._known = _read(file) if file else {}
        self.changed = False

    def estimates(
        self, spec: ModelSpec, needs: Sequence[MemoryRequirement]
    ) -> tuple[MemoryRequirement, ...]:
        """`needs`, with what was measured in place of what was estimated."""
        return tuple(self._estimate(spec, need) for need in needs)

    def load_s(self, spec: ModelSpec, need: MemoryRequirement) -> float | None:
        known = self._known.get(_key(spec, need))
        return known.load_s if known else None

    def measured(
        self, spec: ModelSpec, need: MemoryRequirement, load_s: float | None = None
    ) -> MemoryRequirement:
        """It takes that; the need that is to be counted for it from now on."""
        key = _key(spec, need)
        old = self._known.get(key)
        floor = old.floor if old else None
        new = Measured(dict(need.memory), load_s or (old.load_s if old else None), floor)
        if _differs(old, new):
            self._keep(key, new)
        return self._estimate(spec, need) if floor else need

    def ran_out(
        self, spec: ModelSpec, need: MemoryRequirement, caps: Mapping[str, int]
    ) -> MemoryRequirement:
        """It ran out of memory with `need`: more from now on, but no more than can ever be had,
        and within reason: others may have taken what it lacked.
        """
        key = _key(spec, need)
        old = self._known.get(key) or Measured(dict(need.memory))
        floor = {}
        for device, held in need.memory.items():
            most = min(old.memory.get(device, held) * MOST, caps.get(device, held))
            floor[device] = max(held, int(min(held * RAISE, most)))
        self._keep(key, replace(old, floor=floor))
        return replace(need, memory=floor)

    def save(self) -> None:
        """Write the file, whole or not at all; blocks. A disk that is full loses nothing else."""
        if self._file is None or not self.changed:
            return
        self.changed = False
        new = self._file.with_suffix(".new")
        try:
            new.write_text(json.dumps({key: asdict(each) for key, each in self._known.items()}))
            os.replace(new, self._file)
        except OSError as error:
            log.warning("what models need could not be remembered: %s", error)

    def _estimate(self, spec: ModelSpec, need: MemoryRequirement) -> MemoryRequirement:
        known = self._known.get(_key(spec, need))
        if known is None:
            return need
        floor = known.floor or {}
        memory = {device: max(held, floor.get(device, 0)) for device, held in known.memory.items()}
        return replace(need, memory=memory)

    def _keep(self, key: str, measured: Measured) -> None:
        self._known.pop(key, None)
        self._known[key] = measured
        if len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
        self.changed = True


def _read(file: Path) -> dict[str, Measured]:
    try:
        return FILE.validate_json(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as error:
        log.warning("%s is not used: %s", file, error)
        return {}


def _key(spec: ModelSpec, need: MemoryRequirement) -> str:
    """The same for all that is loaded alike, whatever its name."""
    fixed = json.dumps([spec.options, spec.memory_bytes], sort_keys=True, default=str)
    digest = hashlib.sha256(fixed.encode()).hexdigest()[:12]
    devices = sorted(device for device in need.memory if device != RAM)
    where = "+".join(devices) if len(devices) > 1 else need.device
    return f"{spec.backend}/{spec.source or spec.name}:{spec.task} {digest} on {where}"


def _differs(old: Measured | None, new: Measured) -> bool:
    """Enough to be written down."""
    if old is None or set(old.memory) != set(new.memory):
        return True
    return any(
        abs(new.memory[device] - held) > ENOUGH_CHANGE * max(held, 1)
        for device, held in old.memory.items()
    )
