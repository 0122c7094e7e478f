"""What becomes of a failure in a worker that parses files which came from anywhere.

A file that makes its parser hang, crash or take all memory is the file's fault, never the
server's: its owner says so in an error of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from config.errors import Invalid, TimedOut, Unavailable

CRASHES = ("worker_died", "worker_failed")


@contextmanager
def blame_file(unreadable: Callable[[str], Invalid], timeout_s: float) -> Iterator[None]:
    """Translate a worker's failure during the block to the error that `unreadable` builds.

    `unreadable` is given the reason, to follow the file's name and a colon. What is not the
    file's doing (a worker that is closed, say) passes unchanged.
    """
    try:
        yield
    except TimedOut as error:
        raise unreadable(f"reading it took more than {timeout_s:.0f} s") from error
    except Unavailable as error:
        if error.code == "out_of_memory":
            raise unreadable("reading it takes too much memory") from error
        if error.code in CRASHES:
            raise unreadable(f"its reader failed ({error.message})") from error
        raise
