"""Threads and their states in the shapes of the LangGraph server protocol.

`langgraph_sdk` reads these dicts, so their names are the protocol's. Nothing here reads the store.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot

from config.errors import Invalid
from runs.record import Thread, thread_id_of
from runs.stream_translator import visible

_ADDRESS = ("thread_id", "checkpoint_ns", "checkpoint_id")
"""The fields of a checkpoint's address."""
_FILTER_NAME = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*", re.ASCII)
"""What SQLite's path into a JSON object takes of what LangGraph lets through."""
EMPTY_STATE: dict[str, Any] = {
    "values": {},
    "next": [],
    "tasks": [],
    "metadata": None,
    "created_at": None,
    "checkpoint": None,
    "parent_checkpoint": None,
    "interrupts": [],
    "checkpoint_id": None,
    "parent_checkpoint_id": None,
}


def state_dict(snapshot: StateSnapshot) -> dict[str, Any]:
    """Return a snapshot as the protocol's ThreadState, with those of its subgraphs."""
    checkpoint, parent = address_of(snapshot.config), address_of(snapshot.parent_config)
    return {
        "values": visible(snapshot.values),
        "next": list(snapshot.next),
        "tasks": [
            {
                "id": task.id,
                "name": task.name,
                "path": list(task.path),
                "error": str(task.error) if task.error else None,
                "interrupts": [interrupt_dict(item) for item in task.interrupts],
                "checkpoint": address_of(task.state) if isinstance(task.state, dict) else None,
                "state": state_dict(task.state) if isinstance(task.state, StateSnapshot) else None,
                "result": visible(task.result),
            }
            for task in snapshot.tasks
        ],
        "metadata": snapshot.metadata,
        "created_at": snapshot.created_at,
        "checkpoint": checkpoint,
        "parent_checkpoint": parent,
        "interrupts": [interrupt_dict(item) for item in snapshot.interrupts],
        "checkpoint_id": checkpoint and checkpoint.get("checkpoint_id"),
        "parent_checkpoint_id": parent and parent.get("checkpoint_id"),
    }


def updated_dict(config: RunnableConfig) -> dict[str, Any]:
    """Return the checkpoint that an update of a state made, as the protocol does."""
    checkpoint = address_of(config) or {}
    return {
        "checkpoint": checkpoint,
        "configurable": checkpoint,
        "checkpoint_id": checkpoint["checkpoint_id"],
    }


def address_of(config: Any) -> dict[str, Any] | None:
    """Return the checkpoint that a config points to."""
    if not config:
        return None
    address = {key: value for key, value in config["configurable"].items() if key in _ADDRESS}
    return {**address, "thread_id": thread_id_of(address["thread_id"])}


def interrupt_dict(interrupt: Any) -> dict[str, Any]:
    """Return a question as the protocol's Interrupt."""
    return {"id": interrupt.id, "value": interrupt.value}


def thread_config(
    key: str, checkpoint_id: str | None = None, namespace: str = ""
) -> RunnableConfig:
    """Return the config by which LangGraph finds a thread's state, or that of a subgraph."""
    configurable = {"thread_id": key, "checkpoint_ns": namespace}
    if checkpoint_id:
        configurable["checkpoint_id"] = checkpoint_id
    return {"configurable": configurable}


def thread_dict(thread: Thread, status: str) -> dict[str, Any]:
    """Return a thread as the protocol's Thread, without its state."""
    updated_at = _format_time(thread.updated_at)
    graph = {"graph_id": thread.agent} if thread.agent else {}
    return {
        "thread_id": thread.thread_id,
        "created_at": _format_time(thread.created_at),
        "updated_at": updated_at,
        "state_updated_at": updated_at,
        "metadata": {**thread.metadata, **graph},
        "status": status,
        "config": {},
        "values": None,
    }


def _format_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def check_uuid(thread_id: str) -> str:
    """Return the id in its usual form. Raises `Invalid` for what is no UUID."""
    try:
        return str(UUID(thread_id))
    except ValueError as error:
        raise Invalid(
            "Invalid thread ID: must be a UUID", details={"field": "thread_id"}
        ) from error


def check_filter(metadata: Mapping[str, Any] | None) -> None:
    """Check that a history can be chosen by this metadata. Raises `Invalid`."""
    for name in metadata or {}:
        if not _FILTER_NAME.fullmatch(name):
            raise Invalid(
                f"History cannot be chosen by '{name}': names are letters, digits, _ and -, with "
                "dots between the parts of a path.",
                details={"field": "metadata"},
            )
