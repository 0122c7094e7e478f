"""How a model is used, from its requests: how often, how soon again, and for how long."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

HALF_LIFE_S = 300.0
WEIGHT = 0.3
"""Of the newest value in a running mean."""
PATIENT_GAPS = 3.0
WORTH = 0.2
"""Waiting for the next request may cost so much of what a swap costs."""
KEPT = 1000
UNKNOWN_LOAD_S = 2.0


@dataclass(slots=True)
class Usage:
    """Of one model, also while it is not loaded. Times are the scheduler's."""

    requests: float = 0.0
    """Each counts half after `HALF_LIFE_S`; as of `last_s`."""
    last_s: float = 0.0
    idle_since_s: float | None = None
    """None while it is used or waited for, or never was."""
    gap_s: float | None = None
    """How long it usually is idle before its next request."""
    lease_s: float | None = None
    load_s: float | None = None
    crashes: int = 0
    """How often in a row it ended by itself before it had done anything."""

    def requested(self, now_s: float) -> None:
        if self.idle_since_s is not None:
            self.gap_s = _mean(self.gap_s, now_s - self.idle_since_s)
        self.requests, self.last_s, self.idle_since_s = self.recent(now_s) + 1.0, now_s, None

    def released(self, held_s: float) -> None:
        self.lease_s = _mean(self.lease_s, held_s)

    def idle(self, now_s: float) -> None:
        """Nobody uses it or waits for it any more."""
        self.idle_since_s = now_s

    def recent(self, now_s: float) -> float:
        """How many requests came lately, the older the less they count."""
        return float(self.requests * 2.0 ** ((self.last_s - now_s) / HALF_LIFE_S))

    def expected_until_s(self, swap_s: float) -> float:
        """Until when its next request is worth waiting for, if that saves a swap.

        One agent calls a model again and again, with a moment between two calls: a model that
        went in that moment would have to come back at once.
        """
        if self.gap_s is None or self.idle_since_s is None:
            return 0.0
        patience_s = self.gap_s * PATIENT_GAPS
        return self.idle_since_s + patience_s if patience_s <= WORTH * swap_s else 0.0

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
