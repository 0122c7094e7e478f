"""Logs to standard error: one line an entry, no prompts and no secrets at info."""

from __future__ import annotations

import logging
import sys


def configure_logging(level: str) -> None:
    """Send the log of this process to standard error, from `level` upwards."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("httpx", "httpcore", "asyncio", "aiosqlite", "openai", "watchfiles"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
