"""How long a model that could not be loaded, or keeps crashing, is refused."""

from __future__ import annotations

from dataclasses import dataclass

from config.errors import MotetError

BACKOFF_S = (1.0, 5.0, 60.0, 300.0)
"""After so many failures in a row; the last for all that follow."""
MAX_CRASHES = 3
"""So often in a row a model that dies before it did anything is loaded again at once."""
MIN_USEFUL_RUN_S = 10.0
"""A model that dies sooner, without finishing a lease, counts as crashing."""
INTERRUPTED_LOADS = frozenset(
    {
        "load_timed_out",
        "model_connection_lost",
        "model_timed_out",
        "ollama_unreachable",
        "server_died",
        "server_start_timed_out",
        "worker_died",
        "worker_start_failed",
        "worker_start_timed_out",
        "worker_timed_out",
    }
)
"""Codes of loads that were ended from outside, which says nothing against a second one."""
KILLED_LOADS = frozenset({"server_died", "worker_died"})
"""Those among them whose process was killed, which costs little time: tried again twice."""
OUT_OF_MEMORY = "out_of_memory"
LEASE_END_GRACE_S = 0.5
"""Leases of a dead worker may end so long before its death is known: they were no work done."""


@dataclass(slots=True)
class Backoff:
    """Failed loads of one model in a row, and until when it is refused for them."""

    failures: int = 0
    retry_at_s: float = 0.0
    error: MotetError | None = None
    retries: int = 0
    """So many loads in a row ran out of memory, or were interrupted, and were tried again at
    once."""

    def reset(self) -> None:
        """Forget the failures: a load has succeeded."""
        self.failures, self.error, self.retries = 0, None, 0

    def may_retry(self, error: MotetError) -> bool:
        """Tell whether a load that failed so may be tried again at once."""
        if error.code in KILLED_LOADS:
            return self.retries < 2
        return self.retries < 1 and error.code in (OUT_OF_MEMORY, *INTERRUPTED_LOADS)

    def fail(self, error: MotetError, now_s: float, at_least: int = 1) -> float:
        """Count a failure and return for how many seconds the model is refused.

        `at_least`: the failures it counts as, if that is more.
        """
        self.failures = max(self.failures + 1, at_least)
        pause_s = BACKOFF_S[min(self.failures, len(BACKOFF_S)) - 1]
        self.error, self.retries, self.retry_at_s = error, 0, now_s + pause_s
        return pause_s


def died_useless(ready_since_s: float, first_lease_end_s: float | None, now_s: float) -> bool:
    """Tell whether a load that crashed had hardly begun and done nothing for anyone."""
    worked = first_lease_end_s is not None and now_s - first_lease_end_s > LEASE_END_GRACE_S
    return not worked and now_s - ready_since_s < MIN_USEFUL_RUN_S
