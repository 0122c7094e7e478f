"""A conversation that answers with all that was said."""

from __future__ import annotations

from typing import Any

from langgraph.graph import StateGraph

from benchmarks.growth.talking import State, talking


def build() -> StateGraph[Any]:
    return talking(State)
