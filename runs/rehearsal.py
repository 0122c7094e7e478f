"""Shows where an update of a state would lead, without making it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
)
from langgraph.errors import InvalidUpdateError
from langgraph.types import StateSnapshot

from config.errors import Invalid
from runs.checkpoints import Checkpoints
from runs.thread_shapes import thread_config
from tools.user_code.guard import run_guarded


async def rehearse_update(
    graph: Any, checkpoints: Checkpoints, at: RunnableConfig, values: Any, as_node: str | None
) -> StateSnapshot:
    """Return the state that an update at a checkpoint would make.

    Raises `Invalid` for what LangGraph refuses.
    """
    rehearsed = graph.copy({"checkpointer": Rehearsal(checkpoints)})
    try:
        # The edges behind the node, and reducers, are code of users.
        updated = await run_guarded(partial(rehearsed.aupdate_state, at, values, as_node=as_node))
    except InvalidUpdateError as error:
        raise Invalid(
            f"The state cannot be updated: {error}", details={"field": "values"}
        ) from error
    snapshot: StateSnapshot = await rehearsed.aget_state(updated)
    return snapshot


class Rehearsal(Checkpoints):
    """A checkpointer on which LangGraph makes an update of a state that is not to be kept."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        """Read as `checkpoints` does."""
        super().__init__(checkpoints.database, checkpoints.conn)
        self.is_setup = True
        self._updates: dict[str, CheckpointTuple] = {}

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read a checkpoint that was made here, or one on disk."""
        updated = self._updates.get(get_checkpoint_id(config) or "")
        return updated or await super().aget_tuple(config)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint in memory."""
        at = thread_config(str(config["configurable"]["thread_id"]), checkpoint["id"])
        self._updates[checkpoint["id"]] = CheckpointTuple(at, checkpoint, metadata, config, [])
        return at

    def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> Coroutine[Any, Any, None]:
        """Drop the writes: nothing is executed on what is made here."""
        return asyncio.sleep(0)
