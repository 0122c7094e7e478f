"""Every agent there is: shipped files, a folder of own files, and graphs that the caller made.

Owns which agent a name means, and what is kept of a file that is wrong. Invariants: of two agents
with a name, one's own stands before the shipped one; a wrong file is a problem, never a failure,
and its last good version stays in use; an agent of which nothing has changed stays the same object.

Reading a text takes a hundredth of what building its agent does. So texts are `read` at first, and
each agent is built when it is asked for, or when nothing else is to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from config.errors import MotetError, NotFound, nearest
from graphs.agent import Agent
from graphs.loading.build import AgentSource, FindAgent, build_agent
from graphs.loading.python_files import read_python_agents
from graphs.loading.yaml_files import SUFFIXES, SourceReader, list_files
from graphs.templates.expressions import Expressions
from tools.user_code.threads import UserThreads


@dataclass(frozen=True)
class LoadedAgents:
    """Agents by name, and by file what is wrong with others."""

    agents: Mapping[str, Agent] = field(default_factory=dict)
    problems: Mapping[str, MotetError] = field(default_factory=dict)
    sources: Mapping[str, AgentSource] = field(default_factory=dict)
    """The YAML of each agent, as it was read."""
    unbuilt: frozenset[str] = frozenset()
    """Those of which there is the YAML alone until now."""

    def __contains__(self, name: str) -> bool:
        return name in self.agents or name in self.unbuilt

    def names(self) -> list[str]:
        """Return the names of all agents, built or not."""
        return sorted({*self.agents, *self.unbuilt})

    def is_unbuilt(self, name: str, source: AgentSource) -> bool:
        """Tell whether an agent is unbuilt yet and its YAML is this one."""
        return name in self.unbuilt and self.sources[name] is source

    def build(self, name: str, expressions: Expressions) -> Agent | MotetError:
        """Build an agent of which there is the YAML, or return what is wrong with it."""
        find = make_finder(self.sources, self.agents)
        try:
            return build_agent(self.sources[name], find, expressions=expressions)
        except MotetError as error:
            return error

    def with_built(self, name: str, built: Agent | MotetError) -> LoadedAgents:
        """Return the same agents with one that was built now."""
        rest = self.unbuilt - {name}
        if isinstance(built, MotetError):
            problems = {**self.problems, str(self.sources[name].path): built}
            return replace(self, problems=problems, unbuilt=rest)
        return replace(self, agents={**self.agents, name: built}, unbuilt=rest)


@dataclass(frozen=True)
class AgentFolders:
    """Where agents come from. `embedded` are graphs that the caller made, by name.

    Plain functions of those written in Python run in `threads`.
    """

    shipped: Path
    own: Path
    embedded: Mapping[str, Agent]
    threads: UserThreads
    reader: SourceReader = field(default_factory=SourceReader)
    expressions: Expressions = field(default_factory=Expressions)

    def read(self) -> LoadedAgents:
        """Read every file for the first time, and build those that are Python."""
        sources, problems = self.read_yaml()
        python_agents, python_problems = read_python_agents(self.own, {}, self.threads)
        agents = {**self.embedded, **python_agents}
        return LoadedAgents(agents, problems | python_problems, sources, frozenset(sources))

    def update(self, loaded: LoadedAgents) -> LoadedAgents:
        """Read what has changed since, and build it."""
        before = loaded.agents
        sources, problems = self.read_yaml()
        python_agents, python_problems = read_python_agents(self.own, before, self.threads)
        problems |= python_problems
        agents: dict[str, Agent] = {**self.embedded, **python_agents}
        unbuilt = {name for name in loaded.unbuilt if sources.get(name) == loaded.sources[name]}
        # The finder sees this dict as it grows: YAML agents may call those written in Python.
        find = make_finder(sources, agents)
        for name, source in sources.items():
            if name in unbuilt:
                continue
            known = before.get(name)
            if known and known.path == source.path and _is_unchanged(known, find, before):
                agents[name] = known
                continue
            try:
                agents[name] = build_agent(source, find, expressions=self.expressions)
            except MotetError as error:
                problems[str(source.path)] = error
                if known:
                    agents[name] = known
        return LoadedAgents(agents, problems, sources, frozenset(unbuilt))

    def measure_own(self) -> dict[str, int]:
        """Return the size in bytes of each file of one's own agents."""
        return {
            entry.path: entry.stat().st_size
            for entry in list_files(self.own)
            if entry.name.endswith((*SUFFIXES, ".py")) and entry.is_file()
        }

    def read_yaml(self) -> tuple[dict[str, AgentSource], dict[str, MotetError]]:
        """Read the YAML of every agent, and by file what could not be read."""
        shipped, _ = self.reader.read(self.shipped, "shipped")
        own, problems = self.reader.read(self.own, "own")
        return shipped | own, problems


def make_finder(sources: Mapping[str, AgentSource], agents: Mapping[str, Agent]) -> FindAgent:
    """Return what finds an agent by name: in these texts, then among these agents."""

    def find(name: str) -> AgentSource | Agent:
        if source := sources.get(name):
            return source
        if name in agents:
            agent = agents[name]
            if text := agent.sources.get(name):
                return AgentSource(name, text, agent.origin, agent.path)
            return agent
        hint = nearest(name, sorted({*sources, *agents}))
        raise NotFound(f"There is no agent '{name}'. {hint}", code="agent_not_found")

    return find


def _is_unchanged(agent: Agent, find: FindAgent, before: Mapping[str, Agent]) -> bool:
    """Tell whether an agent and all that it calls are as they were."""
    if not agent.calls:
        source = find(agent.name)
        return isinstance(source, AgentSource) and source.text == agent.sources[agent.name]
    try:
        parts = {name: find(name) for name in {*agent.sources, *agent.calls}}
    except NotFound:
        return False
    return all(
        part.text == agent.sources.get(name)
        if isinstance(part, AgentSource)
        else before.get(name) is part
        for name, part in parts.items()
    )
