"""Agents by name, by version, and as a run began with them; their compiled graphs.

Owns which source a version is made of: the catalog's agent where that is the version still, else
what was saved of it. Reading files is the catalog's.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from config.errors import Invalid, MotetError, NotFound
from runs.admission import KeyedLocks
from runs.checkpoints import Checkpoints
from runs.record import Run
from runs.saved_versions import SavedVersion
from runs.store import RunStore

if TYPE_CHECKING:
    from graphs.agent import Agent
    from graphs.catalog import Catalog

log = logging.getLogger(__name__)

COMPILED_LIMIT = 256
"""Compiled graphs in memory; beyond it the oldest is dropped and compiled anew when needed."""
REVIVED_LIMIT = 64
"""Agents of earlier versions in memory; beyond it the oldest is dropped."""


class AgentVersions:
    """Finds agents by name or by the run that uses them, and compiles each version once."""

    def __init__(self, catalog: Catalog, store: RunStore, checkpoints: Checkpoints) -> None:
        self._catalog = catalog
        self._versions = store.versions
        self._checkpoints = checkpoints
        self._graphs: dict[str, Any] = {}
        self._compiling = KeyedLocks()
        self._revived: dict[tuple[str, str], Agent] = {}
        self._saved: set[tuple[str, str]] = set()

    async def find(self, reference: str) -> Agent:
        """Return an agent: as its file is now by its name, or an earlier one by `name@version`.

        Raises `NotFound` (`agent_not_found`, `agent_version_not_found`).
        """
        name, at, version = reference.partition("@")
        return await self.find_version(name, version) if at else await self._current(name)

    async def find_last(self, name: str) -> Agent:
        """Return the agent as its file is now, or where that is gone as it was saved last.

        Raises `NotFound` (`agent_not_found`).
        """
        try:
            return await self._current(name)
        except (NotFound, Invalid):
            if saved := await self._versions.list(name):
                return await self._revive(saved[0])
            raise

    async def find_of_run(self, run: Run) -> Agent:
        """Return the agent in the version with which the run began.

        Raises `NotFound` (`agent_version_not_found`) where that is neither the present nor a saved
        one.
        """
        agent = await self.find_version(run.agent, run.version)
        await self.compile_ahead(agent)
        return agent

    async def find_version(self, name: str, version: str) -> Agent:
        """Return an agent in a version, by its hash. Raises `NotFound`
        (`agent_version_not_found`).
        """
        try:
            current = await self._current(name)
        except (NotFound, Invalid):  # gone, or wrong now
            current = None
        if current and current.version == version:
            return current
        return await self._revive(self.find_saved(name, version))

    async def list(self, name: str) -> list[SavedVersion]:
        """List the saved versions of an agent, newest first.

        Raises `NotFound` (`agent_not_found`) for one that neither is nor was.
        """
        saved = await self._versions.list(name)
        if not saved:
            await self._current(name)  # raises
        return saved

    def find_saved(self, name: str, version: str) -> SavedVersion:
        """Return what was saved of a version. Raises `NotFound` (`agent_version_not_found`)."""
        saved = self._versions.find(name, version)
        if saved and (saved.sources or saved.modules):
            return saved
        raise NotFound(
            f"The source of agent '{name}' in version {version[:80]} was not saved: it cannot go "
            f"on, or run again, in that version. `motet agents versions {name}` lists the others.",
            code="agent_version_not_found",
            details={"field": "agent", "agent": name, "version": version},
        )

    async def save(self, agent: Agent) -> None:
        """Store the sources of an agent; on disk when this returns.

        A graph that the caller of the catalog made has none.
        """
        if not self._is_saved(agent):
            await self._versions.save(agent.name, agent.version, agent.sources, agent.modules)
            self._saved.add((agent.name, agent.version))

    async def save_own(self) -> None:
        """Save the version of each agent of one's own as it is now; on disk when this returns."""
        own = [a for a in await asyncio.to_thread(self._catalog.list) if a.origin != "shipped"]
        # Together, so that one commit takes many.
        await asyncio.gather(*(self.save(agent) for agent in own if not self._is_saved(agent)))

    async def follow(self) -> None:
        """Save each version that one's own files come to have, until cancelled."""
        while True:
            await self._catalog.reloaded.wait()
            self._catalog.reloaded.clear()
            try:
                await self.save_own()
            except MotetError as error:  # the disk takes no writes now: saved with the next run
                log.warning("versions of agents are not saved: %s", error)

    def compile(self, agent: Agent) -> Any:
        """Return the agent's graph, compiled with the checkpointer."""
        key = f"{agent.name}@{agent.version}"
        if key not in self._graphs:
            self._keep(key, agent.compile(self._checkpoints))
        return self._graphs[key]

    async def compile_ahead(self, agent: Agent) -> None:
        """Compile the agent's graph in a thread: hundreds of nodes take a good part of a second."""
        key = f"{agent.name}@{agent.version}"
        if key in self._graphs:
            return
        # Many runs that come at once compile it once.
        async with self._compiling.hold(key):
            if key not in self._graphs:
                self._keep(key, await asyncio.to_thread(agent.compile, self._checkpoints))

    def _is_saved(self, agent: Agent) -> bool:
        """Tell whether there is nothing to store of an agent, or it is stored."""
        has_source = agent.sources or agent.modules
        return not has_source or (agent.name, agent.version) in self._saved

    async def _current(self, name: str) -> Agent:
        """Return the agent as its file is now. Raises as `Catalog.get` does."""
        if self._catalog.is_built(name):
            return self._catalog.get(name)
        return await asyncio.to_thread(self._catalog.get, name)

    def _keep(self, key: str, graph: Any) -> None:
        if len(self._graphs) >= COMPILED_LIMIT:
            self._graphs.pop(next(iter(self._graphs)))
        self._graphs[key] = graph

    async def _revive(self, saved: SavedVersion) -> Agent:
        key = saved.name, saved.version
        if key not in self._revived:
            # In a thread: a Python module takes as long as it takes to be imported.
            revive = self._catalog.revive
            agent = await asyncio.to_thread(revive, saved.sources, saved.name, saved.modules)
            if agent.version != saved.version:
                raise NotFound(
                    f"Agent '{saved.name}' in version {saved.version} calls an agent that has "
                    "changed since and whose source was not saved.",
                    code="agent_version_not_found",
                    details={"field": "agent", "agent": saved.name, "version": saved.version},
                )
            if len(self._revived) >= REVIVED_LIMIT:
                self._revived.pop(next(iter(self._revived)))
            self._revived[key] = agent
        return self._revived[key]
