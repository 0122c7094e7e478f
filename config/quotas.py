"""Bounds on what one tenant has at once, so that there is room for the work of others.

Owns the error of a tenant that has all it may. What a tenant has is counted by whoever keeps it, or
by `Usage` where that is a matter of the moment. Who is served first is `turns`'.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from config.errors import Busy


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `limit` of some `things` for each tenant; `setting` is what raises the bound.

    `retry_after_s` is for what becomes free by itself.
    """

    setting: str
    limit: int
    things: str
    retry_after_s: float | None = None

    def check(self, used: int) -> None:
        """Check what a tenant would have. Raises `Busy` (`quota_exceeded`) where that is more."""
        if used <= self.limit:
            return
        then = "try again later" if self.retry_after_s else "delete some"
        raise Busy(
            f"This would be {used:,} {self.things}, of at most {self.limit:,}: {then}, or raise "
            f"the setting `{self.setting}`.",
            code="quota_exceeded",
            details={
                "limit": self.limit,
                "setting": self.setting,
                "hint": f"Set MOTET_{self.setting.upper()} to more than {self.limit}.",
            },
            retry_after_s=self.retry_after_s,
        )


class Usage:
    """Counts what each tenant has in use, up to its quota."""

    def __init__(self, quota: Quota) -> None:
        self._quota = quota
        self._used: Counter[str] = Counter()

    @contextmanager
    def hold(self, tenant: str) -> Iterator[None]:
        """Count one more while inside. Raises `Busy` (`quota_exceeded`)."""
        self._quota.check(self._used[tenant] + 1)
        self._used[tenant] += 1
        try:
            yield
        finally:
            self._used[tenant] -= 1
            if not self._used[tenant]:
                del self._used[tenant]
