"""From YAML to an agent, together with every agent that it calls.

Owns linking: one agent finds another by name, calls it as a step, and has a version that follows
from the texts of all. Reading the text is `graphs.spec`'s, compiling it `graphs.compile`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import TemplateSyntaxError

from config.errors import Invalid, NotFound, nearest
from graphs.agent import Agent, Origin
from graphs.compile.compiler import BuiltGraph, build_graph
from graphs.compile.node import CompileScope, NodeType
from graphs.compile.state import EMPTY
from graphs.interface import DeclaredInterface, output_templates
from graphs.nodes import NODE_TYPES
from graphs.spec.agent_spec import AgentSpec, read_spec
from graphs.spec.channels import Channel
from graphs.spec.problems import Problems
from graphs.templates.expressions import Expressions, Template


@dataclass(frozen=True)
class AgentSource:
    """An agent's YAML and where it comes from."""

    name: str
    text: str
    origin: Origin
    path: Path | None = None


FindAgent = Callable[[str], AgentSource | Agent]
"""Gives another agent by name: its YAML, or one made in Python. Raises `NotFound`."""


def build_agent(
    source: AgentSource,
    find: FindAgent,
    callers: tuple[str, ...] = (),
    expressions: Expressions | None = None,
) -> Agent:
    """Build the agent of a YAML text, and those that it calls.

    `callers` are the agents on the way here, which it may not call. `expressions` compiles the
    templates of many agents: making one takes as long as a small agent. Raises `Invalid`
    (`invalid_agent`) with all its problems.
    """
    file = str(source.path) if source.path else f"{source.name}.yaml"
    spec, problems = read_spec(source.text, file)
    if spec.name != source.name:
        problems.add(("name",), f"the file of agent '{source.name}' must name it so.")
    linker = _Linker(find, (*callers, spec.name), expressions or Expressions())
    graph, outputs = _compile(spec, problems, linker)
    problems.check()
    sources = {spec.name: source.text}
    modules: dict[str, str] = {}
    for called in linker.called.values():
        sources |= called.sources
        modules |= called.modules
    return Agent(
        name=spec.name,
        version=_version(sources, linker.called),
        description=spec.description,
        origin=source.origin,
        path=source.path,
        sources=sources,
        modules=modules,
        builder=graph.builder,
        interface=DeclaredInterface(spec.name, spec.input, outputs, graph),
        recursion_limit=spec.max_steps or graph.recursion_limit,
        calls=tuple(linker.called),
        graph=graph,
    )


def agent_of(spec: AgentSpec, find: FindAgent | None = None) -> Agent:
    """Build the agent of a spec that was made in Python, for notebooks."""

    def find_none(name: str) -> Agent:
        raise NotFound(f"There is no agent '{name}' here.", code="agent_not_found")

    source = AgentSource(spec.name, spec.to_yaml(), "own")
    return build_agent(source, find or find_none)


@dataclass
class _Linker:
    """The `Linker` of one agent: builds each agent that it calls, once."""

    find: FindAgent
    chain: tuple[str, ...]
    expressions: Expressions
    called: dict[str, Agent] = field(default_factory=dict)
    node_types: Mapping[str, NodeType] = field(default_factory=lambda: NODE_TYPES)

    def agent(self, name: str) -> Agent:
        if name in self.chain:
            circle = " → ".join([*self.chain[self.chain.index(name) :], name])
            raise Invalid(f"agents may not call themselves: {circle}.", code="agent_recursion")
        if name not in self.called:
            source = self.find(name)
            self.called[name] = (
                source
                if isinstance(source, Agent)
                else build_agent(source, self.find, self.chain, self.expressions)
            )
        return self.called[name]


def _compile(
    spec: AgentSpec, problems: Problems, linker: _Linker
) -> tuple[BuiltGraph, Mapping[str, Template]]:
    scope = CompileScope(spec.name, "", (), frozenset(), problems, linker)
    graph = build_graph(spec.nodes, spec.edges, _declared_channels(spec, problems), scope)
    return graph, _compile_outputs(spec, graph, problems, linker.expressions)


def _declared_channels(spec: AgentSpec, problems: Problems) -> dict[str, Channel]:
    """Return the channels of `input` and `state`; an input field may have an entry in `state`."""
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


def _compile_outputs(
    spec: AgentSpec, graph: BuiltGraph, problems: Problems, expressions: Expressions
) -> Mapping[str, Template]:
    try:
        templates = output_templates(spec.output, expressions)
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
    # Of agents written in Python there is no text here, only their version.
    for name in sorted(called):
        digest.update(called[name].version.encode())
    return digest.hexdigest()[:16]
