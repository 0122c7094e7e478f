"""Logs to standard error: one line an entry, no prompts and no secrets at info.

Owns what is kept out of every entry, whoever wrote it: the secrets of URLs, characters that would
steer a terminal, and but for debug the texts of exceptions, which quote what somebody sent. What
else an entry says is its writer's: ids and codes, never what somebody sent or was answered.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import TypeAlias

from config.redaction import redact_urls
from config.terminal import show_controls

log = logging.getLogger(__name__)

ExcInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)

LIBRARIES = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
"""Where installed libraries lie: what they say at info is of requests, with addresses and texts."""
CHATTY = [
    "httpx",
    "httpcore",
    "httpx2",
    "httpcore2",
    "asyncio",
    "aiosqlite",
    "openai",
    "watchfiles",
]
"""Libraries that at debug tell all they send and receive."""


def configure_logging(level: str) -> None:
    """Send the log of this process to standard error, from `level` upwards."""
    handler = logging.StreamHandler(sys.stderr)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    formatter = _RedactingFormatter if root.level > logging.DEBUG else _Formatter
    handler.setFormatter(formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S"))
    if root.level > logging.DEBUG:
        handler.addFilter(_is_for_operators)
        # Python's warnings quote values; they are for who changes the code.
        logging.captureWarnings(True)
        logging.getLogger("py.warnings").setLevel(logging.ERROR)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


def log_uncaught_errors() -> None:
    """Log what Python would print with its text: errors that end a thread, or that nobody gets."""
    threading.excepthook = lambda args: _log_uncaught("a thread ended by", args)
    sys.unraisablehook = lambda args: _log_uncaught("nobody was told of", args)


def _log_uncaught(what: str, args: threading.ExceptHookArgs | sys.UnraisableHookArgs) -> None:
    error = args.exc_value or args.exc_type()
    log.error("%s %s", what, type(error).__name__, exc_info=error)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return show_controls(redact_urls(super().format(record)))


class _RedactingFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        # The event loop names the fault in its first line, and quotes its objects in the others.
        if record.name == "asyncio":
            first, *_ = record.getMessage().splitlines() or [""]
            record = logging.makeLogRecord({**record.__dict__, "msg": first, "args": None})
        return super().format(record)

    def formatException(self, ei: ExcInfo) -> str:
        return "" if ei[1] is None else "\n".join(map(_trace, _with_causes(ei[1])))


def _trace(error: BaseException) -> str:
    """Tell an error's type, and where it was raised; its text only where the system wrote it."""
    is_of_system = isinstance(error, OSError | sqlite3.Error)
    text = (error.strerror if isinstance(error, OSError) else str(error)) if is_of_system else None
    name = type(error).__qualname__ + (f": {text}" if text else "")
    return f"{name}\n{''.join(traceback.format_tb(error.__traceback__))}".rstrip()


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    left: list[BaseException | None] = [error]
    visited: set[int] = set()
    while left:
        if (each := left.pop(0)) is not None and id(each) not in visited:
            visited.add(id(each))
            yield each
            left += [each.__cause__, None if each.__suppress_context__ else each.__context__]
            left += each.exceptions if isinstance(each, BaseExceptionGroup) else []


def _is_for_operators(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or not record.pathname.startswith(LIBRARIES)
