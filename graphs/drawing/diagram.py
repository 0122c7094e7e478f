"""An agent's graph as nodes and labelled arrows, and as Mermaid text.

Where the boxes of a picture go is `layout`'s, its SVG `svg`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_core.runnables.graph import Edge, Graph, Node
from langchain_core.runnables.graph_mermaid import draw_mermaid

from graphs.compile.flow import Flow
from graphs.spec.base import END, START

MERMAID_NAMES = {START: "__start__", END: "__end__"}
"""LangChain's names of both ends; a node `end` would be a keyword to Mermaid."""
NAMES = {mermaid: name for name, mermaid in MERMAID_NAMES.items()}


@dataclass(frozen=True)
class Arrow:
    """One way from node to node."""

    source: str
    target: str
    label: str = ""
    conditional: bool = False
    back: bool = False
    """It closes a loop."""


@dataclass(frozen=True)
class Drawing:
    """Nodes by name, each with its type, and arrows. The first node is the start."""

    nodes: Mapping[str, str] = field(default_factory=dict)
    arrows: tuple[Arrow, ...] = ()

    def mermaid(self) -> str:
        """Write the graph as Mermaid text."""
        nodes = {}
        for name, type_ in self.nodes.items():
            id_ = MERMAID_NAMES.get(name, name)
            nodes[id_] = Node(id_, name, None, {"type": type_} if type_ else None)
        edges = [
            Edge(
                MERMAID_NAMES.get(arrow.source, arrow.source),
                MERMAID_NAMES.get(arrow.target, arrow.target),
                _escape(arrow.label) or None,
                arrow.conditional,
            )
            for arrow in self.arrows
        ]
        first, last = MERMAID_NAMES[START], MERMAID_NAMES[END]
        return draw_mermaid(nodes, edges, first_node=first, last_node=last)


def draw_flow(flow: Flow, types: Mapping[str, str]) -> Drawing:
    """Draw a YAML agent's flow; `types` are those of its nodes."""
    arrows = [
        Arrow(source, target, exit_.label, bool(exit_.label), exit_.max_loops is not None)
        for source, target, exit_ in flow.edges()
    ]
    return Drawing({START: "", **types, END: ""}, _merge_parallel(arrows))


def draw_graph(graph: Graph) -> Drawing:
    """Draw a graph that LangGraph describes."""
    inner = {name: "" for name in graph.nodes if name not in NAMES}
    arrows = [
        Arrow(
            NAMES.get(edge.source, edge.source),
            NAMES.get(edge.target, edge.target),
            str(edge.data or ""),
            edge.conditional,
        )
        for edge in graph.edges
    ]
    return Drawing({START: "", **inner, END: ""}, _merge_parallel(arrows))


def _merge_parallel(arrows: Iterable[Arrow]) -> tuple[Arrow, ...]:
    """Merge the arrows between the same nodes into one, with the labels of all."""
    merged: dict[tuple[str, str], Arrow] = {}
    for arrow in arrows:
        ends = (arrow.source, arrow.target)
        if before := merged.get(ends):
            label = " · ".join(text for text in (before.label, arrow.label) if text)
            arrow = Arrow(*ends, label, before.conditional and arrow.conditional, arrow.back)
        merged[ends] = arrow
    return tuple(merged.values())


def _escape(label: Any) -> str:
    """Escape the signs that mean something to Mermaid, the ends of lines among them."""
    text = " ".join(str(label).split())
    return "".join(f"#{ord(sign)};" if sign in '"|<>[](){};#' else sign for sign in text)
