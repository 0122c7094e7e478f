"""An agent out of YAML, and what a run of its graph told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from config.errors import NotFound
from graphs.agent import Agent
from graphs.compile.compiler import build_graph
from graphs.compile.node import CompileScope, NodeType
from graphs.loading.build import AgentSource, FindAgent, build_agent
from graphs.run_context import RunContext
from graphs.spec.channels import Channel
from graphs.spec.problems import Problems
from graphs.templates.expressions import Expressions

INNER_AGENT = """\
version: 1
name: inner
input: {text: string, times: {type: integer, default: 2}}
nodes: {double: {type: set, values: {answer: "{{ text * times }}"}}}
output: [answer]
"""


def find_inner(name: str) -> AgentSource:
    """Find the one other agent, `inner`, that doubles a text."""
    if name != "inner":
        raise NotFound(f"There is no agent '{name}'.")
    return AgentSource("inner", INNER_AGENT, "own")


def agent_of_yaml(text: str, find: FindAgent | None = None) -> Agent:
    """The agent of a YAML text that may leave out version, name and description."""
    head = "" if text.lstrip().startswith("version:") else "version: 1\nname: test\n"

    def none(name: str) -> Any:
        raise AssertionError(f"no agent '{name}' was expected")

    return build_agent(AgentSource("test", head + text, "own"), find or none)


@dataclass
class Transcript:
    """What a run's readers were told."""

    output: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    interrupts: list[Any] = field(default_factory=list)

    def kinds(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["motet"] == kind]


async def run(
    agent: Agent,
    input: Any = None,
    context: RunContext | None = None,
    *,
    given: Any = None,
    graph: Any = None,
    thread: str = "t",
) -> Transcript:
    """Run an agent to its end or its next question. `given` stands in for a first input."""
    graph = graph or agent.compile(InMemorySaver())
    config = {"configurable": {"thread_id": thread}, "recursion_limit": agent.recursion_limit}
    begin = given if given is not None else agent.initial_state(input)
    transcript = await _transcribe(graph, begin, config, context)
    transcript.output = agent.output(transcript.values)
    return transcript


async def run_node(
    node_type: NodeType,
    fields: Mapping[str, Any],
    state: Mapping[str, Any] | None = None,
    context: RunContext | None = None,
) -> Transcript:
    """Run one node alone, of any type, also one that is not in the map of node types yet.

    `fields` are those of its spec, as YAML has them; `state` the channels that its templates read.
    What it saves is in the transcript's `values`. Raises `Invalid` for problems of the spec.
    """
    spec = node_type.spec.model_validate(dict(fields))
    problems = Problems()
    linker = _OneNodeType({spec.type: node_type})
    scope = CompileScope("test", "", (), frozenset(), problems, linker)
    channels = {name: Channel() for name in state or {}}
    graph = build_graph({"node": spec}, None, channels, scope)
    problems.check()
    config = {"configurable": {"thread_id": "t"}}
    compiled = graph.compile(InMemorySaver())
    return await _transcribe(compiled, graph.initial_state(state or {}), config, context)


@dataclass(frozen=True)
class _OneNodeType:
    """A linker that knows one node type and no other agent."""

    node_types: Mapping[str, NodeType]
    expressions: Expressions = field(default_factory=Expressions)

    def agent(self, name: str) -> Any:
        raise NotFound(f"There is no agent '{name}'.")


async def _transcribe(
    graph: Any, begin: Any, config: Mapping[str, Any], context: RunContext | None
) -> Transcript:
    transcript = Transcript()
    stream = graph.astream(
        begin,
        config,
        context=context,
        stream_mode=["tasks", "custom", "values"],
        subgraphs=True,
    )
    async for namespace, mode, data in stream:
        if mode == "custom" and isinstance(data, dict) and data.get("motet") == "token":
            transcript.tokens.append(data["text"])
        elif mode == "custom":
            transcript.events.append(data)
        elif mode == "tasks" and "result" in data:
            path = [*(part.split(":")[0] for part in namespace), data["name"]]
            transcript.steps.append("/".join(path))
            if not namespace:
                transcript.interrupts += data["interrupts"]
        elif mode == "values" and not namespace:
            transcript.values = data
    return transcript
