"""Every agent by name: shipped ones, one's own YAML files, and graphs written in Python.

Owns the folder of own agents: following its changes, and writing there. Which agent a name means
is `graphs.loading.folders`'s. Invariant: a file is written only after its agent was built, so what
is saved can be run.

Thousands of agents take seconds to build. So each is built when it is asked for, and `build_rest`
builds the others, on a server beside all else; what is about all agents waits for that.

Methods block: they read, build and write files. On a server they are called in threads, where those
that write take turns; `get` and the other readers see all agents as they were after one of them.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from langgraph.graph import StateGraph

from config.errors import Conflict, Invalid, MotetError, NotFound, nearest
from config.files import replace_file, storage_errors
from config.quotas import Quota
from config.settings import Settings
from graphs.agent import Agent
from graphs.loading.build import AgentSource, build_agent
from graphs.loading.folders import AgentFolders, make_finder
from graphs.loading.python_files import (
    python_agent,
    read_python_agent,
    revive_python_agent,
)
from graphs.loading.reload import Reload, log_problems, log_reload
from graphs.loading.yaml_files import RACY_NS, SUFFIXES, read_text
from graphs.spec.agent_spec import read_spec
from graphs.spec.base import AGENT_NAME
from tools.user_code.threads import UserThreads

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent / "library"
WATCH_DEBOUNCE_MS = 400
"""Editors write a file in several steps; changes within this time are one reload."""
WATCH_STEP_MS = 50
"""How often the watcher looks whether changes go on; it debounces in steps of this."""
BuildGraph = Callable[[], StateGraph[Any, Any, Any, Any]]


class Catalog:
    """Agents by name.

    `graphs` are Python graphs made by the caller, by name; plain functions of Python graphs run in
    `threads`. All files are read when it is made; `reload` and `watch` follow later changes.
    """

    def __init__(
        self,
        settings: Settings,
        graphs: Mapping[str, BuildGraph] | None = None,
        shipped: Path = SHIPPED,
        threads: UserThreads | None = None,
    ) -> None:
        self._threads = threads or UserThreads()
        embedded = {
            name: python_agent(name, build, threads=self._threads)
            for name, build in (graphs or {}).items()
        }
        folder = settings.agents_folder
        self._quota = Quota("max_agents", settings.max_agents, "saved agents")
        self._bytes_quota = Quota(
            "max_agent_bytes", settings.max_agent_bytes, "bytes of saved agents"
        )
        self._folders = AgentFolders(shipped, folder, embedded, self._threads)
        self._read_ns = time.time_ns()
        self._loaded = self._folders.read()
        # One writer at a time, from its look at the agents to the new ones. Readers take no lock:
        # `_loaded` is replaced as a whole.
        self._writing = threading.RLock()
        self.reloaded = asyncio.Event()
        """Set when agents were built or read anew; who waits for the next time clears it."""
        log_problems(self._loaded, {}, logging.INFO)

    # reading

    def get(self, name: str) -> Agent:
        """Return the agent of a name.

        Raises `Invalid` (`invalid_agent`) where its file never was right, else `NotFound`
        (`agent_not_found`) that proposes the nearest name.
        """
        if agent := self._find(name):
            return agent
        if self._is_new(name):
            self.reload()
            if agent := self._find(name):
                return agent
        for file, problem in self._loaded.problems.items():
            if Path(file).stem == name:
                # A new error for each caller: raising fills in its traceback.
                raise Invalid(problem.message, code=problem.code, details=problem.details)
        raise NotFound(
            f"There is no agent '{name}'. {nearest(name, self._loaded.names())}",
            code="agent_not_found",
            details={"field": "agent", "agent": name},
        )

    def is_built(self, name: str) -> bool:
        """Tell whether `get` of a name returns at once."""
        return name in self._loaded.agents

    def build_rest(self, limit: int | None = None) -> bool:
        """Build agents that nobody asked for yet, at most `limit`; tell whether any are left."""
        for name in itertools.islice(self._loaded.unbuilt, limit):
            self._find(name)
        return bool(self._loaded.unbuilt)

    def problems(self) -> list[MotetError]:
        """Return what is wrong with files that could not be read as they are now."""
        self.build_rest()
        return list(self._loaded.problems.values())

    def agents_using(self, name: str) -> list[str]:
        """Return the names of agents that call `name`, directly or through others."""
        others = [agent for agent in self.list() if agent.name != name]
        return [agent.name for agent in others if name in agent.sources or name in agent.calls]

    # After the annotations that mean the built-in list.
    def list(self) -> list[Agent]:
        """Return every agent, by name."""
        self.build_rest()
        return [self._loaded.agents[name] for name in sorted(self._loaded.agents)]

    # one's own

    def check(self, yaml: str, file: str | None = None) -> Agent:
        """Build the agent of a YAML text, without saving it.

        Raises `Invalid` (`invalid_agent`) with every problem.
        """
        spec, _ = read_spec(yaml, file)
        path = Path(file) if file else None
        source = AgentSource(spec.name, yaml, "own", path)
        find = make_finder(self._loaded.sources, self._loaded.agents)
        return build_agent(source, find, expressions=self._folders.expressions)

    def read(self, file: Path) -> Agent:
        """Build the agent of any file, YAML or Python, without saving it. A Python file runs."""
        if file.suffix == ".py":
            return read_python_agent(file, self._threads)
        return self.check(read_text(file), str(file))

    def create(self, yaml: str) -> Agent:
        """Save a new agent of one's own.

        Raises `Conflict` (`agent_exists`), `Busy` (`quota_exceeded`).
        """
        with self._writing:
            agent = self.check(yaml)
            if agent.name in self._loaded or self._file(agent.name).exists():
                raise Conflict(
                    f"There is an agent '{agent.name}' already; replace it instead.",
                    code="agent_exists",
                    details={"field": "name", "agent": agent.name},
                )
            return self._save(agent.name, yaml)

    def replace(self, name: str, yaml: str) -> Agent:
        """Save a new version of an agent; one of a shipped agent stands before that.

        Raises `NotFound` (`agent_not_found`), `Conflict` (`agent_read_only`) for a graph written in
        Python, and `Invalid` (`invalid_agent`).
        """
        with self._writing:
            return self._replace(name, yaml)

    def _replace(self, name: str, yaml: str) -> Agent:
        current = self._find(name)
        if current is None and not self._file(name).exists():
            self.get(name)  # raises
        if current and current.origin == "python":
            raise Conflict(f"'{name}' is written in Python; edit its file.", code="agent_read_only")
        agent = self.check(yaml)
        if agent.name != name:
            raise Invalid(
                f"The YAML names agent '{agent.name}', not '{name}'.",
                code="invalid_agent",
                details={"field": "name"},
            )
        return self._save(name, yaml)

    def restore(self, name: str, sources: Mapping[str, str], modules: Mapping[str, str]) -> Agent:
        """Write an earlier version of an agent into its file; what it calls stays as it is.

        Raises as `replace` and `create` do; `Conflict` (`agent_exists`) where the name is now that
        of an agent written in the other language.
        """
        with self._writing:
            current = self._find(name)
            if name in sources:
                return self.replace(name, sources[name]) if current else self.create(sources[name])
            if current and current.origin != "python":
                raise Conflict(f"'{name}' is YAML now: delete that first.", code="agent_exists")
            file = self._file(name).with_suffix(".py")
            revive_python_agent(file, modules[name], self._threads)  # raises
            return self._save_text(name, file, modules[name])

    def delete(self, name: str) -> None:
        """Delete an agent of one's own; a shipped one of that name comes back.

        Raises `NotFound` (`agent_not_found`), and `Conflict` for a shipped one (`agent_read_only`)
        or while other agents call it (`agent_in_use`).
        """
        with self._writing:
            self._delete(name)

    def _delete(self, name: str) -> None:
        agent = self._find(name)
        file = self._file(name)
        if agent is None and not file.exists():
            self.get(name)  # raises
        if agent is not None and agent.origin != "own":
            raise Conflict(f"'{name}' is {agent.origin}: it stays.", code="agent_read_only")
        users = self.agents_using(name)
        if users and not (self._folders.shipped / f"{name}.yaml").exists():
            raise Conflict(
                f"'{name}' is called by {', '.join(users)}.",
                code="agent_in_use",
                details={"agents": users},
            )
        with storage_errors(f"The file of agent '{name}'", "deleted"):
            (agent.path if agent and agent.path else file).unlink(missing_ok=True)
        self.reload()

    def revive(
        self, sources: Mapping[str, str], name: str, modules: Mapping[str, str] | None = None
    ) -> Agent:
        """Build the agent as it was in an earlier version, from its own `sources` and `modules`.

        A Python module runs.
        """
        file = self._folders.own / "revived.py"
        python = {
            key: revive_python_agent(file.with_name(f"{key}.py"), text, self._threads)
            for key, text in (modules or {}).items()
        }
        if name not in sources:
            return python.get(name) or self.get(name)
        texts = {key: AgentSource(key, text, "own") for key, text in sources.items()}
        return build_agent(texts[name], make_finder(texts, {**self._loaded.agents, **python}))

    # files

    def reload(self) -> Reload:
        """Read what has changed, and log it."""
        with self._writing:
            return self._reload()

    def _reload(self) -> Reload:
        before = self._loaded
        self._read_ns = time.time_ns()
        self._loaded = after = self._folders.update(before)
        changed = tuple(
            name for name, agent in after.agents.items() if before.agents.get(name) is not agent
        )
        removed = tuple(name for name in (*before.agents, *before.unbuilt) if name not in after)
        reload = Reload(changed, removed)
        log_reload(reload, after, before.problems)
        return reload

    async def watch(self, notify: Callable[[Reload], None] = lambda reload: None) -> None:
        """Reload whenever a file of one's own changes, until cancelled.

        A folder that cannot be made or watched is logged, and not followed.
        """
        try:
            await self._watch(notify)
        except OSError as error:
            log.error("agents are not followed, changes count at the next start: %s", error)

    async def _watch(self, notify: Callable[[Reload], None]) -> None:
        from watchfiles import awatch  # a native library that only a server needs

        self._folders.own.mkdir(parents=True, exist_ok=True)
        changes = awatch(
            self._folders.own, debounce=WATCH_DEBOUNCE_MS, step=WATCH_STEP_MS, recursive=False
        )
        async for _ in changes:
            notify(await asyncio.to_thread(self.reload))
            self.reloaded.set()

    async def build_beside(self) -> None:
        """Build all agents in a thread, one by one, so that others have their turn."""
        while await asyncio.to_thread(self.build_rest, 1):
            pass
        log.debug("%d agents loaded", len(self._loaded.agents))
        self.reloaded.set()

    def _find(self, name: str) -> Agent | None:
        """Return an agent, built now where nobody asked for it before."""
        before = self._loaded
        if name in before.unbuilt:
            # Without the lock: others may build or read meanwhile, and a writer takes long.
            built = before.build(name, self._folders.expressions)
            with self._writing:
                if self._loaded.is_unbuilt(name, before.sources[name]):
                    self._loaded = self._loaded.with_built(name, built)
                    log_problems(self._loaded, before.problems, logging.INFO)
        return self._loaded.agents.get(name)

    def _is_new(self, name: str) -> bool:
        """Tell whether there is a file of an agent that was written after all were last read.

        Who writes a file and asks for its agent at once is earlier than the watcher.
        """
        if not AGENT_NAME.fullmatch(name):
            return False
        for suffix in (*SUFFIXES, ".py"):
            file = self._folders.own / f"{name}{suffix}"
            try:
                changed_ns = file.stat().st_mtime_ns
            except OSError:
                continue
            wrong = str(file) in self._loaded.problems
            return not wrong or changed_ns > self._read_ns - RACY_NS
        return False

    def _save(self, name: str, yaml: str) -> Agent:
        own = self._find(name)
        file = own.path if own and own.origin == "own" and own.path else self._file(name)
        return self._save_text(name, file, yaml)

    def _save_text(self, name: str, file: Path, text: str) -> Agent:
        self._check_quotas(file, text)
        with storage_errors(f"The file of agent '{name}'"):
            replace_file(file, text)
        self.reload()
        return self.get(name)

    def _check_quotas(self, file: Path, text: str) -> None:
        """Check that a file has room beside the others. Raises `Busy` (`quota_exceeded`)."""
        sizes = self._folders.measure_own()
        sizes[str(file)] = len(text.encode())
        self._quota.check(len(sizes))
        self._bytes_quota.check(sum(sizes.values()))

    def _file(self, name: str) -> Path:
        # The name comes from a URL: one that is no name of an agent must not become a path.
        if not AGENT_NAME.fullmatch(name):
            raise NotFound(
                f"There is no agent '{name[:80]}'.",
                code="agent_not_found",
                details={"field": "agent"},
            )
        return self._folders.own / f"{name}.yaml"


@asynccontextmanager
async def open_catalog(
    settings: Settings,
    graphs: Mapping[str, BuildGraph] | None = None,
    threads: UserThreads | None = None,
) -> AsyncIterator[Catalog]:
    """Open the catalog of these settings, which builds its agents and follows their files."""
    catalog = Catalog(settings, graphs, threads=threads)
    tasks = [
        asyncio.create_task(catalog.build_beside(), name="build agents"),
        asyncio.create_task(catalog.watch(), name="watch agents"),
    ]
    try:
        yield catalog
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
