"""What the parts of a LangGraph stream are told as."""

from __future__ import annotations

from typing import Any

from graphs.state import GOTO, LOOPS
from runs.steps import Part, Steps


def task(name: str, **more: Any) -> Part:
    """A part that announces a task, or with a result, an error or interrupts ends it."""
    if more:
        more = {"result": {}, "error": None, "interrupts": [], **more}
    return (), "tasks", {"id": f"id of {name}", "name": name, **more}


def test_a_step_tells_what_it_wrote_and_not_how_its_graph_counts_loops() -> None:
    steps = Steps()
    list(steps.translate(task("draft")))
    written = {"text": "new", LOOPS: {"draft.0": 1}, GOTO: {"draft": None}}
    [told] = steps.translate(task("draft", result=written))
    assert (told.type, told.fields["data"]) == ("step.finished", {"update": {"text": "new"}})
