"""How a model is used, from its requests: how often, how soon again, and for how long."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

HALF_LIFE_S = 300.0
"""A request counts half as much after so long."""
NEWEST_WEIGHT = 0.3
"""Of the newest value in a running mean."""
PATIENT_GAPS = 3.0
"""The next request is waited for so many times as long as the model is usually idle."""
MAX_WAIT_SHARE = 0.2
"""That wait may cost so much of what a swap costs; a longer one is not worth it."""
MAX_MODELS = 1000
"""Of the models asked for longest ago the usage is forgotten."""
UNKNOWN_LOAD_S = 2.0
"""Assumed for a model that was never loaded here."""


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

    def count_request(self, now_s: float) -> None:
        """Count a request, and learn from how long the model was idle before it."""
        if self.idle_since_s is not None:
            self.gap_s = _running_mean(self.gap_s, now_s - self.idle_since_s)
        self.requests = self.recent_requests(now_s) + 1.0
        self.last_s, self.idle_since_s = now_s, None

    def count_lease(self, held_s: float) -> None:
        """Learn from how long a lease lasted."""
        self.lease_s = _running_mean(self.lease_s, held_s)

    def mark_idle(self, now_s: float) -> None:
        """Note that nobody uses the model or waits for it any more."""
        self.idle_since_s = now_s

    def recent_requests(self, now_s: float) -> float:
        """Return how many requests came lately, the older the less they count."""
        return float(self.requests * 2.0 ** ((self.last_s - now_s) / HALF_LIFE_S))

    def expected_until_s(self, swap_s: float) -> float:
        """Return until when its next request is worth waiting for, if that saves a swap.

        One agent calls a model again and again, with a moment between two calls: a model that
        went in that moment would have to come back at once.
        """
        if self.gap_s is None or self.idle_since_s is None:
            return 0.0
        patience_s = self.gap_s * PATIENT_GAPS
        return self.idle_since_s + patience_s if patience_s <= MAX_WAIT_SHARE * swap_s else 0.0

    @property
    def reload_s(self) -> float:
        """How long loading takes, as far as is known."""
        return UNKNOWN_LOAD_S if self.load_s is None else self.load_s


class UsageHistory:
    """The usage of every model that was asked for lately, also of those without a slot."""

    def __init__(self) -> None:
        self._usages: OrderedDict[str, Usage] = OrderedDict()

    def of(self, name: str) -> Usage:
        """Return the usage of a model, which counts as asked for now."""
        usage = self._usages.setdefault(name, Usage())
        self._usages.move_to_end(name)
        if len(self._usages) > MAX_MODELS:
            self._usages.popitem(last=False)
        return usage


def _running_mean(mean: float | None, value: float) -> float:
    return value if mean is None else mean + NEWEST_WEIGHT * (value - mean)
