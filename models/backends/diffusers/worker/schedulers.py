"""Schedulers by name."""

from __future__ import annotations

from typing import Any

from config.errors import Invalid, nearest

# Made for models that are conditioned in another way; with others it draws noise.
UNFIT = frozenset({"EDMEulerScheduler"})


class Schedulers:
    """Those that fit a pipeline, by name: "DDIM" for Diffusers' DDIMScheduler."""

    def __init__(self, own: Any) -> None:
        self._own = own
        kinds = own.compatibles if getattr(own, "has_compatibles", False) else []
        fit = [kind for kind in kinds if kind.__name__ not in UNFIT and not _dummy(kind)]
        self._kinds = {_short(kind): kind for kind in [*fit, type(own)]}

    @property
    def names(self) -> list[str]:
        return sorted(self._kinds)

    @property
    def own(self) -> str:
        """The name of the pipeline's own."""
        return _short(type(self._own))

    def build(self, name: str) -> Any:
        """Build a new one, set as the pipeline's own. Raises `Invalid` (`unknown_scheduler`)."""
        by_key = {_key(each): kind for each, kind in self._kinds.items()}
        kind = by_key.get(_key(name))
        if kind is None:
            raise Invalid(
                f"scheduler: this model has no '{name}'. {nearest(name, self.names)}",
                code="unknown_scheduler",
                details={"field": "scheduler", "known": self.names},
            )
        return kind.from_config(self._own.config)


def name_of(scheduler: Any) -> str:
    return _short(type(scheduler))


def _short(kind: Any) -> str:
    return str(kind.__name__).removesuffix("Scheduler")


def _key(name: str) -> str:
    plain = "".join(sign for sign in name.lower() if sign.isalnum())
    return plain.removesuffix("scheduler")


def _dummy(kind: Any) -> bool:
    """Diffusers puts such in the place of what needs a package that is not installed."""
    return hasattr(kind, "_backends")
