"""The errors that end a request for a lease: why it is refused, with the numbers."""

from __future__ import annotations

from collections.abc import Mapping

from config.errors import Busy, MotetError, Unavailable
from models.scheduling.ledger import DeviceBalance
from models.scheduling.planning import Refuse

GB = 1e9
NO_ROOM_RETRY_S = 30.0
"""When a client may try again what other programs' memory keeps from loading."""
QUEUE_FULL_RETRY_S = 5.0


def backing_off(error: MotetError, left_s: float) -> MotetError:
    """Build the refusal of a model whose load failed a moment ago."""
    message = f"{error.message} It will be tried again in {left_s:.0f} s at the earliest."
    details = error.details
    return type(error)(message, code=error.code, details=details, retry_after_s=left_s)


def crash_loop(name: str, crashes: int, reason: str) -> MotetError:
    """Build the refusal of a model that dies whenever it is loaded (`model_crash_loop`)."""
    message = (
        f"'{name}' ended by itself {crashes} times in a row before it had done "
        f"anything; the last time: {reason}."
    )
    return Unavailable(message, code="model_crash_loop", details={"model": name})


def queue_full(name: str, limit: int) -> Busy:
    """Build the refusal of a request too many (`queue_full`)."""
    message = f"{limit} requests wait for '{name}' already."
    return Busy(message, code="queue_full", retry_after_s=QUEUE_FULL_RETRY_S)


def insufficient_memory(name: str, decision: Refuse) -> MotetError:
    """Build the refusal of what cannot be loaded (`insufficient_memory`).

    The numbers are those of the device that lacks most.
    """
    need, balances, permanent = decision.need.memory, decision.balances, decision.permanent
    device = _scarcest_device(need, balances, permanent)
    size, balance = need[device], balances.get(device)
    free, cap = (balance.free_bytes, balance.cap_bytes) if balance else (0, 0)
    message = (
        f"'{name}' needs {size / GB:.1f} GB of {device}: {free / GB:.1f} GB "
        f"are free for models, which may take {cap / GB:.1f} GB in all."
    )
    if not permanent:
        message += " What takes the rest cannot be unloaded by Motet."
    return Unavailable(
        message,
        code="insufficient_memory",
        details={
            "model": name,
            "need_bytes": size,
            **(balance.as_dict() if balance else {"device": device}),
        },
        permanent=permanent,
        retry_after_s=None if permanent else NO_ROOM_RETRY_S,
    )


def _scarcest_device(
    need: Mapping[str, int], balances: Mapping[str, DeviceBalance], permanent: bool
) -> str:
    def lack(device: str) -> int:
        balance = balances.get(device)
        if balance is None:
            return need[device]
        return need[device] - (balance.cap_bytes if permanent else balance.free_bytes)

    return max(need, key=lack)
