"""Agents in the version with which a run began, and their compiled graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runs.checkpoints import Checkpoints
from runs.record import Run
from runs.store import RunStore

if TYPE_CHECKING:
    from graphs.agent import Agent
    from graphs.catalog import Catalog

COMPILED_LIMIT = 256
"""Compiled graphs in memory; beyond it the oldest is dropped and compiled anew when needed."""


class AgentVersions:
    """Finds agents by name or by the run that uses them, and compiles each version once."""

    def __init__(self, catalog: Catalog, store: RunStore, checkpoints: Checkpoints) -> None:
        self._catalog = catalog
        self._store = store
        self._checkpoints = checkpoints
        self._graphs: dict[str, Any] = {}
        self._saved_versions: set[str] = set()

    def find(self, name: str) -> Agent:
        """Return the agent as its file is now. Raises `NotFound` (`agent_not_found`)."""
        return self._catalog.get(name)

    def find_of_run(self, run: Run) -> Agent:
        """Return the agent in the version with which the run began.

        An agent without stored sources (a Python module) is taken as it is now; raises `NotFound`
        where it is gone.
        """
        sources = self._store.find_sources(run.version)
        if sources:
            return self._catalog.revive(sources, run.agent)
        return self._catalog.get(run.agent)

    async def save(self, agent: Agent) -> None:
        """Store the agent's sources; on disk when this returns."""
        if agent.version not in self._saved_versions:
            await self._store.save_version(agent.version, agent.name, agent.sources)
            self._saved_versions.add(agent.version)

    def compile(self, agent: Agent) -> Any:
        """Return the agent's graph, compiled with the checkpointer."""
        key = f"{agent.name}@{agent.version}"
        if key not in self._graphs:
            if len(self._graphs) >= COMPILED_LIMIT:
                self._graphs.pop(next(iter(self._graphs)))
            self._graphs[key] = agent.compile(self._checkpoints)
        return self._graphs[key]
