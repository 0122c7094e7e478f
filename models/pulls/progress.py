"""How far a pull of several files is, told on to the server's process a few times a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from models.pulls.files import RemoteFile

REPORT_EVERY_S = 0.2

Report = Callable[[dict[str, Any]], None]


class PullProgress:
    """Counts the bytes of one file after another, of `total` in all."""

    def __init__(self, report: Report, total: int) -> None:
        self.total = total
        self._report = report
        self._before = self._of_file = 0
        self._file: RemoteFile | None = None
        self._reported_s = 0.0

    def begin(self, file: RemoteFile) -> None:
        """Go on to the next file; the last one is here."""
        self._before += self._file.size if self._file else 0
        self._file = file
        self.resume_at(0)

    def resume_at(self, size: int) -> None:
        """Count so much of the file as here before."""
        self._of_file = size
        self._publish()

    def update(self, size: int) -> None:
        """Count so many bytes more of the file."""
        self._of_file += size
        if self._is_due():
            self._publish()

    def check(self) -> None:
        """Say that the file is being checked, which takes a while for a large one."""
        if self._is_due():
            self._publish("checking")

    def _is_due(self) -> bool:
        return time.monotonic() - self._reported_s > REPORT_EVERY_S

    def _publish(self, doing: str = "pulling") -> None:
        self._reported_s = time.monotonic()
        status = f"{doing} {self._file.path}" if self._file else ""
        done = self._before + self._of_file
        self._report({"status": status, "completed": done, "total": self.total})
