"""How the failure of a run is put into words: its code, its reason, and where it happened.

Owns what of an exception leaves the process. Invariant: of the machine's folders nothing does; a
file is named as in the folder of agents.
"""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langgraph.errors import InvalidUpdateError

from config.errors import Invalid, MotetError
from tools.user_code.guard import describe

if TYPE_CHECKING:
    from graphs.agent import Agent

TASK_NOTE = re.compile(r"During task with name '(.*?)' and id '")
"""How LangGraph notes on an exception which node it came from, the innermost first."""
CONCURRENT_WRITE = re.compile(r"At key '(.*?)': Can receive only one value per step")


def describe_error(error: Exception, origin: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the error for the run's record: ours as it is, a foreign one by type and text.

    `origin` is what `find_origin` found.
    """
    origin = origin or {}
    if isinstance(error, MotetError):
        return error.as_dict()
    if isinstance(error, InvalidUpdateError) and (channel := CONCURRENT_WRITE.match(str(error))):
        return Invalid(
            f"Nodes that run in parallel wrote the same channel '{channel[1]}'. Give it a reducer, "
            "or let them write different ones.",
            code="parallel_writes",
            details={"field": channel[1]},
        ).as_dict()
    line = f":{origin['line']}" if "line" in origin else ""
    file = f" ({origin['file']}{line})" if "file" in origin else ""
    where = f"{origin['node']}{file}: " if "node" in origin else ""
    return MotetError(f"{where}{error_text(error)}", code="step_failed", details=origin).as_dict()


def find_origin(error: BaseException, agent: Agent) -> dict[str, Any]:
    """Return where an exception came from: the `node`, and the agent's `file` with its `line`."""
    notes = [TASK_NOTE.match(note) for note in getattr(error, "__notes__", ())]
    # A piece of a node's work is named after the node: `node/piece`.
    names = [note[1].rpartition("/")[2] for note in notes if note]
    origin: dict[str, Any] = {"node": "/".join(reversed(names))} if names else {}
    if agent.path is None:
        return origin
    folder = agent.path.parent
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(folder)
    ]
    if not frames:
        return {**origin, "file": agent.path.name}
    file = Path(frames[-1].filename).relative_to(folder)
    return {**origin, "file": str(file), "line": frames[-1].lineno}


def error_text(error: BaseException) -> str:
    """Return a foreign error's type and text; what of it has no JSON is replaced."""
    return describe(error).encode(errors="replace").decode()
