"""Every agent there is: shipped files, a folder of own files, and graphs that the caller made.

Owns which agent a name means, and what is kept of a file that is wrong. Invariants: of two agents
with a name, one's own stands before the shipped one; a wrong file is a problem, never a failure,
and its last good version stays in use; an agent of which nothing has changed stays the same object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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

    agents: Mapping[str, Agent]
    problems: Mapping[str, MotetError]


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

    def load(self, before: Mapping[str, Agent]) -> LoadedAgents:
        """Read every file, and build what has changed since `before`."""
        sources, problems = self.read_yaml()
        python_agents, python_problems = read_python_agents(self.own, before, self.threads)
        problems |= python_problems
        agents: dict[str, Agent] = {**self.embedded, **python_agents}
        # The finder sees this dict as it grows: YAML agents may call those written in Python.
        find = make_finder(sources, agents)
        for name, source in sources.items():
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
        return LoadedAgents(agents, problems)

    def measure_own(self) -> dict[Path, int]:
        """Return the size in bytes of each file of one's own agents."""
        return {
            Path(entry.path): entry.stat().st_size
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
    names = sorted({*sources, *agents})

    def find(name: str) -> AgentSource | Agent:
        if source := sources.get(name):
            return source
        if name in agents:
            agent = agents[name]
            if text := agent.sources.get(name):
                return AgentSource(name, text, agent.origin, agent.path)
            return agent
        raise NotFound(
            f"There is no agent '{name}'. {nearest(name, names)}", code="agent_not_found"
        )

    return find


def _is_unchanged(agent: Agent, find: FindAgent, before: Mapping[str, Agent]) -> bool:
    """Tell whether an agent and all that it calls are as they were."""
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
