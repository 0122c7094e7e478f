"""Logs to standard error: one line an entry, no prompts and no secrets at info.

Owns what is kept out of every entry, whoever wrote it: the secrets of URLs, and characters that
would steer a terminal. What an entry says is
its writer's: ids and codes at info and warning, never what somebody sent or was answered.
"""

from __future__ import annotations

import logging
import sys
import sysconfig

from config.redaction import redact_urls
from config.terminal import show_controls

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
    handler.setFormatter(
        _RedactingFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    if root.level > logging.DEBUG:
        handler.addFilter(_is_for_operators)
        # Python's warnings quote values; they are for who changes the code.
        logging.captureWarnings(True)
        logging.getLogger("py.warnings").setLevel(logging.ERROR)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


class _RedactingFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return show_controls(redact_urls(super().format(record)))


def _is_for_operators(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or not record.pathname.startswith(LIBRARIES)
