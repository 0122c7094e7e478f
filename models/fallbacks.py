"""What a model that comes along says when it is asked for more than it can.

Invariant: nobody is told that this machine has no better model while one is declared: then the
error says that it is starting, or why it cannot be had.
"""

from __future__ import annotations

from collections.abc import Sequence

from config.errors import Unavailable
from models.availability import RETRY_AFTER_S, Availability, PassedOver
from models.catalog.resolved import ResolvedModel

BY_PROMISE: Sequence[Availability] = ("starting", "unreachable", "unavailable")
"""Which of the models that were passed over is named: the one that may come back first."""


class NeedsModel(Unavailable):
    """The refusal: `need` says what it takes, `advice` how to get that."""

    def __init__(self, need: str, advice: str, *, code: str, hint: str) -> None:
        message = f"{need} This machine has none. {advice}"
        super().__init__(message, code=code, details={"hint": hint}, permanent=True)
        self._need = need

    def explain(self, choice: ResolvedModel) -> Unavailable:
        """Return the error that says why the model was taken which cannot do it."""
        if choice.role is None:
            return self._because(f"Name another model than '{choice.model.name}'.", permanent=True)
        for state in BY_PROMISE:
            for passed in choice.passed_over:
                if passed.state == state:
                    return self._blame(passed)
        return self

    def _blame(self, passed: PassedOver) -> Unavailable:
        if passed.state == "starting":
            return self._because(
                f"'{passed.name}' is starting: {passed.why} Try again in a moment.",
                passed,
                retry_after_s=RETRY_AFTER_S,
            )
        return self._because(f"'{passed.name}' cannot be had now: {passed.why}", passed)

    def _because(
        self,
        why: str,
        passed: PassedOver | None = None,
        *,
        retry_after_s: float | None = None,
        permanent: bool = False,
    ) -> Unavailable:
        return Unavailable(
            f"{self._need} {why}",
            code=self.code,
            details={"model": passed.name, "state": passed.state} if passed else {},
            retry_after_s=retry_after_s,
            permanent=permanent,
        )
