"""Every agent by name: shipped ones, one's own YAML files, and graphs written in Python."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langgraph.graph import StateGraph

from config.errors import Conflict, Invalid, MotetError, NotFound, nearest
from config.settings import Settings
from graphs.agent import Agent
from graphs.compile.build import AgentSource, build_agent
from graphs.files import read_sources, text_of, write_atomically
from graphs.python_agents import python_agent, read_python_agent, read_python_agents
from graphs.spec.agent_spec import read_spec
from graphs.spec.parts import AGENT_NAME

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent / "library"
Build = Callable[[], StateGraph[Any, Any, Any, Any]]


@dataclass(frozen=True)
class Reload:
    """What a reload changed, by agent name."""

    changed: tuple[str, ...]
    gone: tuple[str, ...]


class Catalog:
    """Agents by name. Own files shadow shipped ones; a broken file keeps the last good version.

    `graphs` are Python graphs made by the caller, by name.
    """

    def __init__(
        self,
        settings: Settings,
        graphs: Mapping[str, Build] | None = None,
        shipped: Path = SHIPPED,
    ) -> None:
        self._folder = settings.agents_folder
        self._shipped = shipped
        self._given = {name: python_agent(name, make) for name, make in (graphs or {}).items()}
        self._agents: dict[str, Agent] = {}
        self._problems: dict[str, MotetError] = {}
        self.reload()

    # reading

    def get(self, name: str) -> Agent:
        """The agent. Raises `NotFound` that proposes the nearest name, or tells what is broken."""
        if agent := self._agents.get(name):
            return agent
        for file, problem in self._problems.items():
            if Path(file).stem == name:
                raise Invalid(problem.message, code=problem.code, details=problem.details)
        raise NotFound(
            f"There is no agent '{name}'. {nearest(name, self._agents)}",
            code="agent_not_found",
            details={"field": "agent", "agent": name},
        )

    def problems(self) -> list[MotetError]:
        """What is wrong with files that could not be read as they are now."""
        return list(self._problems.values())

    def agents_using(self, name: str) -> list[str]:
        """The agents that call `name`, directly or through others."""
        others = [agent for agent in self.list() if agent.name != name]
        return [agent.name for agent in others if name in agent.sources or name in agent.calls]

    # After the annotations that mean the built-in list.
    def list(self) -> list[Agent]:
        """Every agent, by name."""
        return [self._agents[name] for name in sorted(self._agents)]

    # one's own

    def check(self, yaml: str, file: str | None = None) -> Agent:
        """The agent of a YAML text, without keeping it. Raises `Invalid` with every problem."""
        spec, _ = read_spec(yaml, file)
        path = Path(file) if file else None
        return build_agent(AgentSource(spec.name, yaml, "own", path), self._finder(self._sources()))

    def read(self, file: Path) -> Agent:
        """The agent of any file, YAML or Python, without keeping it."""
        if file.suffix == ".py":
            return read_python_agent(file)
        return self.check(text_of(file), str(file))

    def create(self, yaml: str) -> Agent:
        """Keep a new agent of one's own. Raises `Conflict` where the name is taken."""
        agent = self.check(yaml)
        if agent.name in self._agents or self._file(agent.name).exists():
            raise Conflict(
                f"There is an agent '{agent.name}' already; replace it instead.",
                code="agent_exists",
                details={"field": "name", "agent": agent.name},
            )
        return self._keep(agent.name, yaml)

    def replace(self, name: str, yaml: str) -> Agent:
        """Keep a new version of an agent; in place of a shipped one it stands before it."""
        if name not in self._agents and not self._file(name).exists():
            self.get(name)
        if name in self._agents and self._agents[name].origin == "python":
            raise Conflict(f"'{name}' is written in Python; edit its file.", code="agent_read_only")
        agent = self.check(yaml)
        if agent.name != name:
            raise Invalid(
                f"The YAML names agent '{agent.name}', not '{name}'.",
                code="invalid_agent",
                details={"field": "name"},
            )
        return self._keep(name, yaml)

    def delete(self, name: str) -> None:
        """Delete an agent of one's own; a shipped one of that name comes back.

        Raises `Conflict` for a shipped one, or while other agents call it.
        """
        agent = self._agents.get(name)
        file = self._file(name)
        if agent is None and not file.exists():
            self.get(name)
        if agent is not None and agent.origin != "own":
            raise Conflict(f"'{name}' is {agent.origin}: it stays.", code="agent_read_only")
        users = self.agents_using(name)
        if users and not (self._shipped / f"{name}.yaml").exists():
            raise Conflict(
                f"'{name}' is called by {', '.join(users)}.",
                code="agent_in_use",
                details={"agents": users},
            )
        (agent.path if agent and agent.path else file).unlink(missing_ok=True)
        self.reload()

    def revive(self, sources: Mapping[str, str], name: str) -> Agent:
        """The agent as it was in an earlier version, from its own `sources`."""
        if name not in sources:
            return self.get(name)
        texts = {key: AgentSource(key, text, "own") for key, text in sources.items()}
        return build_agent(texts[name], self._finder(texts))

    # files

    def reload(self) -> Reload:
        """Read what has changed. A file that is wrong is a problem, never a failure."""
        before = dict(self._agents)
        self._problems = {}
        sources = self._sources()
        pythons, problems = read_python_agents(self._folder, before)
        self._problems |= problems
        after: dict[str, Agent] = {**self._given, **pythons}
        find = self._finder(sources, after)
        for name, source in sources.items():
            if agent := self._linked(source, find, before.get(name)):
                after[name] = agent
        self._agents = after
        changed = tuple(name for name, agent in after.items() if before.get(name) is not agent)
        return Reload(changed, tuple(name for name in before if name not in after))

    async def watch(self, told: Callable[[Reload], None] = lambda reload: None) -> None:
        """Reload whenever a file of one's own changes, until cancelled."""
        from watchfiles import awatch  # a native library that only a server needs

        self._folder.mkdir(parents=True, exist_ok=True)
        async for _ in awatch(self._folder, debounce=400, step=50, recursive=False):
            known = set(self._problems)
            reload = self.reload()
            for file, problem in self._problems.items():
                if file not in known:
                    log.warning("agent file not loaded: %s", problem.message)
            if reload.changed or reload.gone:
                log.info("agents reloaded: %s", ", ".join([*reload.changed, *reload.gone]))
            told(reload)

    def _keep(self, name: str, yaml: str) -> Agent:
        self._folder.mkdir(parents=True, exist_ok=True)
        own = self._agents.get(name)
        file = own.path if own and own.origin == "own" and own.path else self._file(name)
        write_atomically(file, yaml)
        self.reload()
        return self.get(name)

    def _file(self, name: str) -> Path:
        if not AGENT_NAME.fullmatch(name):
            raise NotFound(
                f"There is no agent '{name[:80]}'.",
                code="agent_not_found",
                details={"field": "agent"},
            )
        return self._folder / f"{name}.yaml"

    def _linked(
        self, source: AgentSource, find: Callable[[str], AgentSource | Agent], before: Agent | None
    ) -> Agent | None:
        if before and before.path == source.path and self._unchanged(before, find):
            return before
        try:
            return build_agent(source, find)
        except MotetError as error:
            self._problems[str(source.path)] = error
            return before

    def _unchanged(self, agent: Agent, find: Callable[[str], AgentSource | Agent]) -> bool:
        try:
            found = {name: find(name) for name in {*agent.sources, *agent.calls}}
        except NotFound:
            return False
        return all(
            item.text == agent.sources.get(name) if isinstance(item, AgentSource) else True
            for name, item in found.items()
        ) and all(
            self._agents.get(name) is item
            for name, item in found.items()
            if isinstance(item, Agent)
        )

    def _finder(
        self, sources: Mapping[str, AgentSource], made: Mapping[str, Agent] | None = None
    ) -> Callable[[str], AgentSource | Agent]:
        agents = self._agents if made is None else made
        names = sorted({*sources, *agents})

        def find(name: str) -> AgentSource | Agent:
            if found := sources.get(name):
                return found
            if name in agents:
                agent = agents[name]
                if text := agent.sources.get(name):
                    return AgentSource(name, text, agent.origin, agent.path)
                return agent
            raise NotFound(
                f"There is no agent '{name}'. {nearest(name, names)}", code="agent_not_found"
            )

        return find

    def _sources(self) -> dict[str, AgentSource]:
        """The YAML of every agent; of two with a name one's own."""
        shipped, _ = read_sources(self._shipped, "shipped")
        own, problems = read_sources(self._folder, "own")
        self._problems |= problems
        return shipped | own


@asynccontextmanager
async def open_catalog(
    settings: Settings, graphs: Mapping[str, Build] | None = None
) -> AsyncIterator[Catalog]:
    """The catalog of these settings, which follows its files until closed."""
    catalog = Catalog(settings, graphs)
    task = asyncio.create_task(catalog.watch(), name="watch agents")
    try:
        yield catalog
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
