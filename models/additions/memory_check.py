"""Whether a model could ever be loaded on this machine. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from config.errors import Unavailable
from models.additions.candidate import Candidate
from models.devices import RAM
from models.scheduling.ledger import DeviceBalance

GB = 10**9


def check_memory(candidate: Candidate, balances: Sequence[DeviceBalance]) -> None:
    """Raise `Unavailable` (`insufficient_memory`) for a model that no device could ever hold.

    What other models hold now does not count: they are unloaded for it.
    """
    largest = max(balances, key=lambda each: each.cap_bytes, default=None)
    if largest is None or candidate.memory_bytes <= largest.cap_bytes:
        return
    where = "of RAM" if largest.device == RAM else f"of {largest.device}"
    raise Unavailable(
        f"'{candidate.name}' is not added: it takes at least "
        f"{candidate.memory_bytes / GB:.1f} GB, and models may take "
        f"{largest.cap_bytes / GB:.1f} GB {where} here (of {largest.total_bytes / GB:.1f} GB). "
        "`motet models add` lists smaller ones.",
        code="insufficient_memory",
        details={
            "model": candidate.name,
            "device": largest.device,
            "needed_bytes": candidate.memory_bytes,
            "cap_bytes": largest.cap_bytes,
            "total_bytes": largest.total_bytes,
        },
        permanent=True,
    )
