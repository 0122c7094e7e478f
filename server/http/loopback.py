"""Whether a request may name files and folders of the server's own machine."""

from __future__ import annotations

from config.errors import Invalid
from config.settings import LOOPBACK, Settings


def require_loopback(settings: Settings, field: str) -> None:
    """Raise `Invalid` (`forbidden`) where callers may be elsewhere.

    Then no file or folder of the server is theirs to name.
    """
    if settings.host not in LOOPBACK:
        raise Invalid(
            "Files and folders of the server are named only where the service listens on loopback; "
            "upload them instead.",
            code="forbidden",
            details={"field": field},
        )
