"""An agent out of YAML, and what a run of its graph told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from config.errors import NotFound
from graphs.agent import Agent
from graphs.loading.build import AgentSource, FindAgent, build_agent
from graphs.run_context import RunContext

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
    told = Transcript()
    graph = graph or agent.compile(InMemorySaver())
    config = {"configurable": {"thread_id": thread}, "recursion_limit": agent.recursion_limit}
    begin = given if given is not None else agent.initial_state(input)
    stream = graph.astream(
        begin,
        config,
        context=context,
        stream_mode=["tasks", "custom", "messages", "values"],
        subgraphs=True,
    )
    async for namespace, mode, data in stream:
        if mode == "custom":
            told.events.append(data)
        elif mode == "messages":
            told.tokens.append(data[0].text)
        elif mode == "tasks" and "result" in data:
            told.steps.append("/".join([*(part.split(":")[0] for part in namespace), data["name"]]))
            if not namespace:
                told.interrupts += data["interrupts"]
        elif mode == "values" and not namespace:
            told.values = data
    told.output = agent.output(told.values)
    return told
