"""An agent's graph as a picture: nodes and labelled edges, as Mermaid text or as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_core.runnables.graph import Edge, Graph, Node
from langchain_core.runnables.graph_mermaid import draw_mermaid

from graphs.compile.flow import Flow
from graphs.spec.parts import END, START


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
    """Nodes by name, each with what it is, and arrows. The first node is the start."""

    nodes: Mapping[str, str] = field(default_factory=dict)
    arrows: tuple[Arrow, ...] = ()

    def mermaid(self) -> str:
        """The graph as Mermaid text."""
        ids = {START: "__start__", END: "__end__"}  # `end` is a word of Mermaid's own
        nodes = {
            ids.get(name, name): Node(
                ids.get(name, name), name, None, {"type": kind} if kind else None
            )
            for name, kind in self.nodes.items()
        }
        edges = [
            Edge(
                ids.get(arrow.source, arrow.source),
                ids.get(arrow.target, arrow.target),
                _safe(arrow.label) or None,
                arrow.conditional,
            )
            for arrow in self.arrows
        ]
        return draw_mermaid(nodes, edges, first_node=ids[START], last_node=ids[END])


def drawing_of_flow(flow: Flow, kinds: Mapping[str, str]) -> Drawing:
    """The drawing of a YAML agent's flow."""
    arrows = [
        Arrow(source, target, exit_.label, bool(exit_.label), exit_.max_loops is not None)
        for source, target, exit_ in flow.edges()
    ]
    return Drawing({START: "", **kinds, END: ""}, _merged(arrows))


def drawing_of_graph(graph: Graph) -> Drawing:
    """The drawing of a graph that LangGraph describes."""
    names = {"__start__": START, "__end__": END}
    inner = {names.get(name, name): "" for name in graph.nodes if name not in names}
    arrows = [
        Arrow(
            names.get(edge.source, edge.source),
            names.get(edge.target, edge.target),
            str(edge.data or ""),
            edge.conditional,
        )
        for edge in graph.edges
    ]
    return Drawing({START: "", **inner, END: ""}, _merged(arrows))


def _merged(arrows: Iterable[Arrow]) -> tuple[Arrow, ...]:
    """One arrow from node to node, with the labels of all."""
    found: dict[tuple[str, str], Arrow] = {}
    for arrow in arrows:
        place = (arrow.source, arrow.target)
        if before := found.get(place):
            label = " · ".join(text for text in (before.label, arrow.label) if text)
            arrow = Arrow(*place, label, before.conditional and arrow.conditional, arrow.back)
        found[place] = arrow
    return tuple(found.values())


def _safe(label: Any) -> str:
    """A label that Mermaid takes as text."""
    return "".join(f"#{ord(sign)};" if sign in '"|<>[](){};#' else sign for sign in str(label))
