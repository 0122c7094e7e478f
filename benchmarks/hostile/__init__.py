"""Hostile requests over all routes, made of the OpenAPI description, while `/health` is probed."""

from __future__ import annotations

from benchmarks.hostile.attack import main

__all__ = ["main"]
