"""How a model is used, from its requests: how often, how soon again, and for how long."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

HALF_LIFE_S = 300.0
WEIGHT = 0.3
"""Of the newest value in a running mean."""
PATIENT_GAPS = 3.0
KEPT = 1000
UNKNOWN_LOAD_S = 2.0


@dataclass(slots=True)
class Usage:
    """Of one model, also while it is not loaded. Times are the scheduler's."""

    requests: float = 0.0
    """Each counts half after `HALF_LIFE_S`; as of `last_s`."""
    last_s: float = 0.0
    gap_s: float | None = None
    """Usual time between requests."""
    lease_s: float | None = None
    load_s: float | None = None

    def requested(self, now_s: float) -> None:
        if self.requests:
            self.gap_s = _mean(self.gap_s, now_s - self.last_s)
        self.requests, self.last_s = self.recent(now_s) + 1.0, now_s

    def released(self, held_s: float) -> None:
        self.lease_s = _mean(self.lease_s, held_s)

    def recent(self, now_s: float) -> float:
        """How many requests came lately, the older the less they count."""
        return float(self.requests * 2.0 ** ((self.last_s - now_s) / HALF_LIFE_S))

    def expected_until_s(self, worth_s: float) -> float:
        """Until when the next request is worth waiting for, if that saves `worth_s`."""
        if self.gap_s is None or self.gap_s * PATIENT_GAPS > worth_s:
            return self.last_s
        return self.last_s + self.gap_s * PATIENT_GAPS

    @property
    def reload_s(self) -> float:
        """How long loading takes, as far as is known."""
        return UNKNOWN_LOAD_S if self.load_s is None else self.load_s


class Usages:
    """The usage of every model that was asked for lately."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Usage] = OrderedDict()

    def of(self, name: str) -> Usage:
        usage = self._kept.setdefault(name, Usage())
        self._kept.move_to_end(name)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return usage


def _mean(mean: float | None, value: float) -> float:
    return value if mean is None else mean + WEIGHT * (value - mean)
