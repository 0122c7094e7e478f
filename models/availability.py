"""Why a model cannot be had now, and what kind of reason that is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from config.errors import MotetError

Availability = Literal["starting", "unreachable", "unavailable", "absent"]
"""`starting`: it comes by itself. `unreachable`: its server does not answer. `unavailable`: it is
declared or found, and cannot be loaded. `absent`: there is no such model."""
RETRY_AFTER_S = 2.0
"""For what is starting."""
STARTING = frozenset({"model_starting", "ollama_starting"})
UNREACHABLE = frozenset(
    {
        "model_connection_lost",
        "model_timed_out",
        "ollama_unreachable",
        "openai_unreachable",
        "server_died",
    }
)


class Reason(str):
    """Why a model cannot be loaded, for people; `code` is that of the error behind it."""

    code = ""

    @classmethod
    def of(cls, error: MotetError) -> Reason:
        """Make the reason that an error gives."""
        reason = cls(error.message)
        reason.code = error.code
        return reason


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A model, or an entry such as `ollama/*`, that a role did not take, and why."""

    name: str
    why: str
    state: Availability

    def as_dict(self) -> dict[str, Any]:
        return {"model": self.name, "why": self.why, "state": self.state}


def classify(why: str, *, known: bool) -> Availability:
    """Return what kind of reason that is; `known`: there is such a model, declared or found."""
    code = why.code if isinstance(why, Reason) else ""
    if code in STARTING:
        return "starting"
    if not known:
        return "absent"
    return "unreachable" if code in UNREACHABLE else "unavailable"
