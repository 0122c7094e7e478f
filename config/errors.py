"""The root and the families of errors that every package raises.

`config.error_codes` says what each code means; `server.http.errors` maps families to HTTP.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from typing import Any

from config.hints import guess_name, list_names, name_unit
from config.redaction import publish_details, publish_text

log = logging.getLogger(__name__)


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
        self._incident = ""

    @property
    def public_message(self) -> str:
        """The message for a caller: `message` may tell paths and addresses of this machine."""
        return str(self.as_dict()["message"])

    def as_dict(self) -> dict[str, Any]:
        """Give the error as JSON: the one shape of HTTP answers, run records and events.

        Paths of this machine are shortened to their last part; internal addresses and what
        processes printed are left out. The log has them, under the id `details.incident`.
        """
        # What the caller sent may be an address, and stand in the answer.
        addresses = self.family not in ("invalid", "not_found")
        message, taken = publish_text(self.message, addresses=addresses)
        hidden = [*taken]
        details = publish_details(self.details, hidden, addresses=addresses)
        if hidden:
            details["incident"] = self._log_incident(hidden)
        return self._body(message, details)

    def as_whole(self) -> dict[str, Any]:
        """Give all of the error as JSON, for another process of ours; never for a caller."""
        return {**self._body(self.message, self.details), "permanent": self.permanent}

    def _log_incident(self, hidden: list[str]) -> str:
        """Log what a caller is not told, once; return the id under which it is found."""
        if not self._incident:
            self._incident = secrets.token_hex(4)
            log.error(
                "incident %s (%s): %s", self._incident, self.code, "; ".join(dict.fromkeys(hidden))
            )
        return self._incident

    def _body(self, message: str, details: Mapping[str, Any]) -> dict[str, Any]:
        body: dict[str, Any] = {"code": self.code, "family": self.family, "message": message}
        if details:
            body["details"] = details
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


def shutting_down() -> Unavailable:
    """Make the error of what is asked for while the server stops; another one may follow it."""
    return Unavailable("The server is stopping.", code="shutting_down", retry_after_s=5)


def nearest(name: str, valid: Mapping[str, Any] | list[str] | tuple[str, ...]) -> str:
    """Propose the valid name that was meant, or list what there is, as a sentence."""
    names = [str(item) for item in valid]
    if guess := guess_name(name, names):
        return f"Did you mean '{guess}'{name_unit(name, guess)}?"
    return list_names(names)
