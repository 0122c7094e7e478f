"""An agent: a named graph with typed input and output, ready to be compiled and run.

Owns the value that everything outside `graphs` works with. How it comes from a file is
`graphs.loading`'s, running it `runs`'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from langgraph.cache.base import BaseCache
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Checkpointer

from config.errors import Invalid
from graphs.compile.compiler import BuiltGraph
from graphs.compile.join import attach_joins
from graphs.compile.plain_nodes import simplify_nodes
from graphs.compile.user_nodes import shield_functions
from graphs.drawing.diagram import Drawing, draw_flow, draw_graph
from graphs.drawing.svg import write_svg
from graphs.interface import Interface, as_json

Origin = Literal["shipped", "own", "python"]


@dataclass(frozen=True)
class Agent:
    """A named graph. It is a value: a file that changes makes another one.

    `version` is a hash over this agent and every agent it calls; `sources` holds the YAML of those
    by name, `modules` the text of those that are Python files: enough to make the same agent again
    (nothing of a graph that the catalog's caller made).
    """

    name: str
    version: str
    description: str
    origin: Origin
    path: Path | None
    sources: Mapping[str, str] = field(repr=False)
    builder: StateGraph[Any, Any, Any, Any] = field(repr=False)
    interface: Interface = field(repr=False)
    recursion_limit: int
    modules: Mapping[str, str] = field(default_factory=dict, repr=False)
    calls: tuple[str, ...] = ()
    """The agents that it calls itself."""
    graph: BuiltGraph | None = field(default=None, repr=False)
    """Of a YAML agent: its flow, joins and channels."""

    @property
    def input_schema(self) -> dict[str, Any]:
        """JSON schema of the input."""
        return self.interface.input_schema

    @property
    def output_schema(self) -> dict[str, Any]:
        """JSON schema of the output."""
        return self.interface.output_schema

    def compile(
        self, checkpointer: Checkpointer = None, cache: BaseCache[Any] | None = None
    ) -> CompiledStateGraph[Any, Any, Any, Any]:
        """Compile the runnable graph. Run it with a `RunContext` and this `recursion_limit`.

        Without a checkpointer, a graph that runs within another one uses that one's.
        """
        compiled = self.builder.compile(checkpointer, cache=cache, name=self.name)
        if self.graph:
            attach_joins(compiled, self.graph.flow.joins)
            simplify_nodes(compiled)
        else:
            simplify_nodes(compiled)
            shield_functions(compiled)
        return compiled

    def initial_state(
        self, input: Any, exposure: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the graph's first writes for an input: checked, with defaults, JSON throughout.

        `exposure` is what the graph that calls this agent knows (`graphs.exposure`).

        Raises `Invalid` (`invalid_input`) whose details name the `field`.
        """
        return self.interface.initial_state(input, exposure)

    def output(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the agent's output as JSON, out of its state's values."""
        return {name: as_json(value) for name, value in self.pick(values).items()}

    def pick(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what `output` makes JSON of: the state's values, as they are."""
        return self.interface.pick(values)

    def too_many_steps(self) -> Invalid:
        """Return the error of a run that took more steps than `recursion_limit`, and the remedy."""
        remedy = (
            "Set `build.recursion_limit` to a larger number, or bound the graph's loops."
            if self.origin == "python"
            else "Raise `max_steps` of the file, or bound its loops."
        )
        return Invalid(
            f"Agent '{self.name}' took more than {self.recursion_limit} steps, its bound. {remedy}",
            code="too_many_steps",
            details={"agent": self.name, "max_steps": self.recursion_limit},
        )

    def drawing(self) -> Drawing:
        """Draw the graph as nodes and arrows."""
        if self.graph:
            return draw_flow(self.graph.flow, self.graph.labels)
        return draw_graph(self.compile().get_graph())

    def mermaid(self) -> str:
        """Write the graph as Mermaid text."""
        return self.drawing().mermaid()

    def picture_svg(self) -> str:
        """Write the graph as an SVG picture."""
        return write_svg(self.drawing())
