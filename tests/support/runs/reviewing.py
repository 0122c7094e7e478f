"""Python graphs in which a person is asked about a draft beside, below and behind other steps."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

from tests.support.runs.graphs import NodeGates


class Review(TypedDict, total=False):
    """A draft, what people say of it, and what was done."""

    draft: str
    verdict: Any
    second: Any
    receipt: str
    notes: Annotated[list[str], operator.add]
    done: str


def reviewing_graphs(gates: NodeGates) -> dict[str, Callable[[], StateGraph[Any]]]:
    """Graphs by agent name; `gates.entered` counts what must not be done twice."""

    async def write(state: Review) -> dict[str, Any]:
        await gates.pass_("write")
        return {"draft": state["draft"].upper(), "notes": ["write"]}

    async def ask(state: Review) -> dict[str, Any]:
        return {"verdict": interrupt({"approve": state["draft"]}), "notes": ["ask"]}

    async def ask_more(state: Review) -> dict[str, Any]:
        return {"second": interrupt({"really": state["draft"]})}

    async def mail(state: Review) -> dict[str, Any]:
        await gates.pass_("mail")
        return {"receipt": f"mailed {state['draft']}", "notes": ["mail"]}

    async def close(state: Review) -> dict[str, Any]:
        await gates.pass_("close")
        parts = [state["draft"], state.get("verdict"), state.get("second"), state.get("receipt")]
        return {"done": " ".join(str(part) for part in parts if part is not None)}

    nodes = {"write": write, "ask": ask, "ask_more": ask_more, "mail": mail, "close": close}

    def build(edges: list[tuple[Any, Any]], **more: Any) -> StateGraph[Any]:
        graph: StateGraph[Any] = StateGraph(Review)
        used = {name for edge in edges for each in edge for name in _names(each)}
        for name in used - {START, END}:
            graph.add_node(name, more.get(name) or nodes[name])
        for source, target in edges:
            graph.add_edge(source, target)
        return graph

    def inner() -> Any:
        """The mail, then the question: one agent below another."""
        return build([(START, "mail"), ("mail", "ask"), ("ask", END)]).compile()

    def routed() -> StateGraph[Any]:
        """What was written decides whether anybody is asked."""
        graph = build([(START, "write"), ("ask", "close"), ("close", END)])
        graph.add_conditional_edges(
            "write", lambda state: "close" if state["draft"] == "skip" else "ask", ["ask", "close"]
        )
        return graph

    return {
        "review-one": lambda: build(
            [(START, "write"), ("write", "mail"), ("mail", "ask"), ("ask", "close"), ("close", END)]
        ),
        "review-beside": lambda: build(
            [
                (START, "write"),
                ("write", "mail"),
                ("write", "ask"),
                ("write", "ask_more"),
                (["mail", "ask", "ask_more"], "close"),
                ("close", END),
            ]
        ),
        "review-below": lambda: build(
            [(START, "write"), ("write", "inner"), ("inner", "close"), ("close", END)],
            inner=inner(),
        ),
        "review-routed": routed,
    }


def _names(each: Any) -> list[str]:
    return each if isinstance(each, list) else [each]
