"""The root and the families of errors that every package raises.

`config.error_codes` says what each code means; `server.http.errors` maps families to HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.hints import guess_name, list_names, name_unit


class MotetError(Exception):
    """A failure with a stable `code`, a message for people and `details` for programs.

    `details` may hold `field`, `file`, `line`, `column` and `hint`. `permanent` says that the
    same request can never succeed, so a client should not try it again.
    """

    family = "internal"
    default_code = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after_s: float | None = None,
        permanent: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.details: dict[str, Any] = dict(details or {})
        self.retry_after_s = retry_after_s
        self.permanent = permanent

    def as_dict(self) -> dict[str, Any]:
        """Give the error as JSON: the one shape of HTTP answers, run records and events."""
        body: dict[str, Any] = {"code": self.code, "family": self.family, "message": self.message}
        if self.details:
            body["details"] = self.details
        if self.retry_after_s is not None:
            body["retry_after_s"] = self.retry_after_s
        return body

    @staticmethod
    def from_dict(body: Mapping[str, Any]) -> MotetError:
        """Make the error again that `as_dict` gave, in its family; an unknown one is internal."""
        family = FAMILIES.get(body.get("family", ""), MotetError)
        return family(
            body["message"],
            code=body["code"],
            details=body.get("details"),
            retry_after_s=body.get("retry_after_s"),
            permanent=body.get("permanent", False),
        )


class Invalid(MotetError):
    """The request, file or graph is wrong and will stay wrong."""

    family = "invalid"
    default_code = "invalid_request"


class NotFound(MotetError):
    """The thing named does not exist, or does not exist for this caller."""

    family = default_code = "not_found"


class Conflict(MotetError):
    """The request is well formed but contradicts the present state."""

    family = default_code = "conflict"


class Busy(MotetError):
    """A limit is reached; the same request may succeed later."""

    family = default_code = "busy"


class Unavailable(MotetError):
    """Something needed (a model, a server, memory) cannot be had now."""

    family = default_code = "unavailable"


class TimedOut(MotetError):
    """A bound on time was reached."""

    family = default_code = "timed_out"


class Cancelled(MotetError):
    """The work was cancelled; `details["reason"]` says by whom or why."""

    family = default_code = "cancelled"


FAMILIES: Mapping[str, type[MotetError]] = {
    family.family: family
    for family in (
        *(MotetError, Invalid, NotFound, Conflict),
        *(Busy, Unavailable, TimedOut, Cancelled),
    )
}


def nearest(name: str, valid: Mapping[str, Any] | list[str] | tuple[str, ...]) -> str:
    """Propose the valid name that was meant, or list what there is, as a sentence."""
    names = [str(item) for item in valid]
    if guess := guess_name(name, names):
        return f"Did you mean '{guess}'{name_unit(name, guess)}?"
    return list_names(names)
