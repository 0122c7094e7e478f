"""Every error code of Motet: its family, what it means and what to do about it.

A code is raised in one family, everywhere. `docs/errors.md` is made of this registry
(`python -m server.error_page`), and `tests/test_error_codes.py` holds the packages against it:
a code that is not here, or that nothing raises, fails there.
"""

from __future__ import annotations

from collections.abc import Mapping

from config.error_codes.invalid import INVALID
from config.error_codes.kinds import ErrorCode
from config.error_codes.others import BUSY, CANCELLED, CONFLICT, INTERNAL, NOT_FOUND, TIMED_OUT
from config.error_codes.unavailable import UNAVAILABLE
from config.error_codes.warnings import WARNINGS

__all__ = ["CODES_OF_FAMILY", "ERROR_CODES", "ErrorCode"]

CODES_OF_FAMILY: Mapping[str, Mapping[str, ErrorCode]] = {
    "invalid": INVALID,
    "not_found": NOT_FOUND,
    "conflict": CONFLICT,
    "busy": BUSY,
    "unavailable": UNAVAILABLE,
    "timed_out": TIMED_OUT,
    "cancelled": CANCELLED,
    "internal": INTERNAL,
    "warning": WARNINGS,
}
"""Warnings are no errors: they come as events of a run, which goes on."""

ERROR_CODES: Mapping[str, ErrorCode] = {
    code: entry for family in CODES_OF_FAMILY.values() for code, entry in family.items()
}
