"""From YAML to an agent, together with every agent that it calls."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import TemplateSyntaxError

from config.errors import Invalid, NotFound, nearest
from graphs.agent import Agent, Origin
from graphs.compile.compiler import Graph, build_graph
from graphs.compile.node import CompileScope, NodeType
from graphs.compile.state import EMPTY
from graphs.interface import DeclaredInterface, outputs
from graphs.nodes import NODE_TYPES
from graphs.spec.agent_spec import AgentSpec, read_spec
from graphs.spec.parts import Channel
from graphs.spec.problems import Problems
from graphs.templates.expressions import Expressions, Template


@dataclass(frozen=True)
class AgentSource:
    """An agent's YAML and where it stands."""

    name: str
    text: str
    origin: Origin
    path: Path | None = None


Find = Callable[[str], AgentSource | Agent]
"""Gives another agent by name: its YAML, or one made in Python. Raises `NotFound`."""


def build_agent(source: AgentSource, find: Find, callers: tuple[str, ...] = ()) -> Agent:
    """The agent of a YAML text. Raises `Invalid(code="invalid_agent")` with all its problems."""
    file = str(source.path) if source.path else f"{source.name}.yaml"
    spec, problems = read_spec(source.text, file)
    if spec.name != source.name:
        problems.add(("name",), f"the file of agent '{source.name}' must name it so.")
    return link_spec(spec, source, problems, find, callers)


def link_spec(
    spec: AgentSpec,
    source: AgentSource,
    problems: Problems,
    find: Find,
    callers: tuple[str, ...] = (),
) -> Agent:
    """The agent of a spec."""
    linker = _Linker(find, (*callers, spec.name))
    graph, templates = _compile(spec, problems, linker)
    problems.check()
    sources = {spec.name: source.text}
    for called in linker.called.values():
        sources |= called.sources
    return Agent(
        name=spec.name,
        version=_version(sources, linker.called),
        description=spec.description,
        origin=source.origin,
        path=source.path,
        sources=sources,
        builder=graph.builder,
        interface=DeclaredInterface(spec.name, spec.input, templates, graph),
        recursion_limit=spec.max_steps or graph.recursion_limit,
        calls=tuple(linker.called),
        graph=graph,
    )


def agent_of(spec: AgentSpec, find: Find | None = None) -> Agent:
    """The agent of a spec that was built in Python, for notebooks."""

    def none(name: str) -> Agent:
        raise NotFound(f"There is no agent '{name}' here.", code="agent_not_found")

    source = AgentSource(spec.name, spec.to_yaml(), "own")
    return build_agent(source, find or none)


@dataclass
class _Linker:
    find: Find
    chain: tuple[str, ...]
    called: dict[str, Agent] = field(default_factory=dict)
    node_types: Mapping[str, NodeType] = field(default_factory=lambda: NODE_TYPES)
    expressions: Expressions = field(default_factory=Expressions)

    def agent(self, name: str) -> Agent:
        if name in self.chain:
            told = " → ".join([*self.chain[self.chain.index(name) :], name])
            raise Invalid(f"agents may not call themselves: {told}.", code="agent_recursion")
        if name not in self.called:
            found = self.find(name)
            self.called[name] = (
                found if isinstance(found, Agent) else build_agent(found, self.find, self.chain)
            )
        return self.called[name]


def _compile(
    spec: AgentSpec, problems: Problems, linker: _Linker
) -> tuple[Graph, Mapping[str, Template]]:
    scope = CompileScope(spec.name, "", (), frozenset(), problems, linker)
    declared = _declared(spec, problems)
    graph = build_graph(spec.nodes, spec.edges, declared, scope)
    return graph, _outputs(spec, graph, problems, linker.expressions)


def _declared(spec: AgentSpec, problems: Problems) -> dict[str, Channel]:
    channels: dict[str, Channel] = {}
    for name, field_ in spec.input.items():
        channels[name] = Channel(type=field_.type, description=field_.description)
    for name, channel in spec.state.items():
        if name in channels and channel.type == "any":
            channel = channel.model_copy(update={"type": channels[name].type})
        channels[name] = channel
        empty = EMPTY[channel.reducer]()
        if None not in (channel.default, empty) and not isinstance(channel.default, type(empty)):
            message = f"does not fit the reducer '{channel.reducer}'."
            problems.add(("state", name, "default"), message)
    return channels


def _outputs(
    spec: AgentSpec, graph: Graph, problems: Problems, expressions: Expressions
) -> Mapping[str, Template]:
    try:
        templates = outputs(spec.output, expressions)
    except (TemplateSyntaxError, ValueError) as error:
        problems.add(("output",), f"wrong expression: {error}")
        return {}
    for name, template in templates.items():
        for missing in sorted(template.names - set(graph.channels)):
            hint = nearest(missing, sorted(graph.channels))
            problems.add(("output", name), f"there is no channel '{missing}'.", hint)
    return templates


def _version(sources: Mapping[str, str], called: Mapping[str, Agent]) -> str:
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(f"{name}\0{sources[name]}\0".encode())
    for name in sorted(called):
        digest.update(called[name].version.encode())
    return digest.hexdigest()[:16]
