"""Who can get a model: a driver that has `pull`, or the Hub for drivers that read its files."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from models.driver import Progress


@runtime_checkable
class Puller(Protocol):
    """Gets models by their source."""

    async def pull(self, source: str, progress: Progress) -> None:
        """Get a model, and return when it is here, whole and checked.

        `progress` is called with {"status": text, "completed": bytes, "total": bytes}. What a
        cancelled or failed pull got is kept: the next goes on there. Raises our families.
        """
        ...
