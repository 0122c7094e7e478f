"""How a command proves that it is the owner's: by a secret that only the owner can read.

The server writes a new one into the data folder at each start; commands beside it send it along.
Whoever knows it may name every file of the machine, as the owner may.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path

from config.files import remove_path, replace_file
from server.private_folder import explain_folder

TOKEN_FILE = "owner-token"
"""In the data folder, which is its owner's alone."""
HEADER = "x-motet-owner"


class OwnerToken:
    """The secret of this start of the server."""

    def __init__(self, value: str) -> None:
        self._value = value.encode()

    @classmethod
    def issue(cls, home: Path) -> OwnerToken:
        """Write a new secret; blocks. Raises `Unavailable` (`data_folder_unusable`)."""
        value = secrets.token_urlsafe(32)
        with explain_folder(home):
            remove_path(home / TOKEN_FILE)  # whatever is in its place
            replace_file(home / TOKEN_FILE, value, durable=False)
        return cls(value)

    def matches(self, sent: str | None) -> bool:
        """Tell whether a request's header is the secret, in constant time."""
        return sent is not None and hmac.compare_digest(sent.encode(errors="replace"), self._value)


def owner_headers(home: Path) -> Mapping[str, str]:
    """Return the headers of the owner's commands; none where the secret cannot be read."""
    try:
        value = (home / TOKEN_FILE).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return {}
    return {HEADER: value} if value.isprintable() and value else {}
