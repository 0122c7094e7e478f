"""The drivers built so far, one for each back end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from models.backends import import_driver
from models.driver import Driver, DriverContext

BuildDriver = Callable[[str, DriverContext], Driver]


class DriverCache:
    """Builds a back end's driver when it is first asked for; `close` it.

    `context` makes what each is built with.
    """

    def __init__(self, build: BuildDriver, context: Callable[[str], DriverContext]) -> None:
        self._build = build
        self._context = context
        self._drivers: dict[str, Driver] = {}
        self._replaced: list[Driver] = []

    async def open(self, backend: str) -> Driver:
        """Return the driver of a back end, whose module is imported in a thread before."""
        if backend not in self._drivers:
            await asyncio.to_thread(import_driver, backend)
        return self.get(backend)

    def get(self, backend: str) -> Driver:
        """Return the driver of a back end, which must be one that there is."""
        if backend not in self._drivers:
            self._drivers[backend] = self._build(backend, self._context(backend))
        return self._drivers[backend]

    def renew(self, backend: str) -> None:
        """Build the driver anew when it is asked for next.

        The former one is closed with all others: what it has loaded may still be in use.
        """
        if driver := self._drivers.pop(backend, None):
            self._replaced.append(driver)

    async def close(self) -> None:
        """Close every driver; what they have loaded must be unloaded before."""
        drivers = [*self._replaced, *self._drivers.values()]
        self._drivers, self._replaced = {}, []
        for driver in drivers:
            await driver.close()
