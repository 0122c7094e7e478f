"""Replays traces of requests through schedulers, with a simulated clock and memory."""

from __future__ import annotations

from benchmarks.simulator.table import main

__all__ = ["main"]
