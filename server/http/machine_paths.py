"""Which files and folders of the server's machine a request may name.

Owns the check, and that no answer tells what else there is. Invariant: a path is checked as it is
once all links in it are followed, and that path alone is handed on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from config.errors import Invalid
from server.owner_token import HEADER
from server.services import ServicesOf


@dataclass(frozen=True, slots=True)
class MachinePaths:
    """What one request may name: all below `roots`, or everything if the owner sent it."""

    roots: Sequence[Path]
    is_owner: bool

    def resolve(self, named: str, field: str) -> Path:
        """Follow all links of a path.

        Raises `Invalid` (`forbidden`) for one outside, whether or not it is there.
        """
        try:
            path = Path(named).expanduser().resolve()
            # A root is resolved each time: what it leads to may be mounted later.
            if self.is_owner or any(path.is_relative_to(root.resolve()) for root in self.roots):
                return path
        except (OSError, ValueError, RuntimeError):  # too long, a null byte, a circle, no such user
            pass
        raise Invalid(
            "Files and folders of the server's machine are named only below the folders that its "
            "setting `folders` lists, and this is not; upload the files instead.",
            code="forbidden",
            details={"field": field, "setting": "folders"},
        )


async def _machine_paths(request: Request, services: ServicesOf) -> MachinePaths:
    is_owner = services.owner_token.matches(request.headers.get(HEADER))
    return MachinePaths(services.settings.folders, is_owner)


MachinePathsOf = Annotated[MachinePaths, Depends(_machine_paths)]
