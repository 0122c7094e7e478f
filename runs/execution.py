"""One attempt at a run: LangGraph's stream in, numbered events out, one way to end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained, GraphRecursionError, InvalidUpdateError
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import RunControl
from langgraph.types import Command

from config.errors import Invalid, MotetError
from runs.checkpoints import JOURNAL, Checkpoints, delete_thread
from runs.log import RunLog
from runs.record import Run
from runs.steps import STREAM_MODES, Part, StreamTranslator, ended_step

if TYPE_CHECKING:
    from graphs.agent import Agent

SHUTDOWN = "shutdown"
"""The reason of a cancellation after which the run continues at the next start."""


@dataclass(slots=True)
class Execution:
    """A run that is under way in this process."""

    run: Run
    agent: Agent
    graph: CompiledStateGraph[Any, Any, Any, Any]
    log: RunLog
    begin: Any = None
    """The graph's first writes, where `submit` has made them from the input already."""
    control: RunControl = field(default_factory=RunControl)
    task: asyncio.Task[None] | None = None
    cancel_reason: str | None = None

    def cancel(self, reason: str) -> None:
        """Ask the attempt to end; the first reason stands."""
        if self.cancel_reason is None:
            self.cancel_reason = reason
            if self.task:
                self.task.cancel()

    async def execute(self, checkpoints: Checkpoints, context: Callable[[Run], Any]) -> None:
        """Run until the graph ends, waits for a person, fails, is cancelled or drained.

        Raises only when the store refuses what must be told: the run is then on disk as it was.
        """
        try:
            if self.run.status == "queued":
                await self._leave_line()
            steps = await self._stream(checkpoints, context)
            if steps.interrupts:
                await self._wait(steps, checkpoints)
            else:
                self.run.output = self.agent.output(await self._values(steps))
                await self._end("finished", "run.finished", {"output": self.run.output})
        except GraphDrained:
            await self.log.wait_flushed()
        except asyncio.CancelledError:
            await self.end_cancelled()
        except Exception as error:
            if self.log.failure or is_storage_failure(error):
                raise
            self.run.error = describe_error(error)
            await self._end("failed", "run.failed", {"error": self.run.error})

    async def end_cancelled(self) -> None:
        """Write the cancellation, unless the run is to continue at the next start."""
        if self.cancel_reason == SHUTDOWN:
            await finish_shielded(self.log.wait_flushed())
        else:
            reason = self.cancel_reason or "requested"
            await self._end("cancelled", "run.cancelled", {"reason": reason})

    async def _leave_line(self) -> None:
        self.run.status, self.run.started_at = "running", time.time()
        await self.log.record(
            self.run, "run.started", attempt=self.run.attempt, data=start_event_data(self.run)
        )

    async def _stream(
        self, checkpoints: Checkpoints, context: Callable[[Run], Any]
    ) -> StreamTranslator:
        steps = await self._steps(checkpoints)
        config = self._config()
        stream = cast(
            "AsyncGenerator[Part, None]",
            self.graph.astream(
                await self._input(checkpoints, config),
                config,
                context=context(self.run),
                stream_mode=list(STREAM_MODES),
                subgraphs=True,
                control=self.control,
                # Each checkpoint stands in the journal before the next steps begin.
                durability="sync",
            ),
        )
        async with aclosing(stream) as parts:
            async for part in parts:
                self._tell(steps, part)
        self.log.release_all_writes()
        return steps

    def _tell(self, steps: StreamTranslator, part: Part) -> None:
        for type_, fields in steps.translate(part):
            self.log.append(type_, **fields)
        if (step := ended_step(part)) is not None:
            self.log.release_step_writes(step)
        if self.log.failure:
            raise self.log.failure

    async def _steps(self, checkpoints: Checkpoints) -> StreamTranslator:
        if self.run.attempt == 1:
            return StreamTranslator()
        told = [event async for batch in self.log.follow_stored() for event in batch.events]
        return StreamTranslator(told, await checkpoints.list_finished_tasks(self.run.thread_id))

    def _config(self) -> RunnableConfig:
        run = self.run
        configurable: dict[str, Any] = {"thread_id": run.thread_id, JOURNAL: self.log}
        if run.checkpoint_id and run.attempt == 1:
            configurable["checkpoint_id"] = run.checkpoint_id
        return {
            "configurable": configurable,
            "metadata": {"run_id": run.run_id, "agent": run.agent},
            "recursion_limit": self.agent.recursion_limit,
        }

    async def _input(self, checkpoints: Checkpoints, config: RunnableConfig) -> Any:
        """What the graph is given: nothing where its own checkpoint holds the input already."""
        run = self.run
        if run.attempt == 1:
            return self.begin
        latest = await checkpoints.aget_tuple({"configurable": {"thread_id": run.thread_id}})
        if latest is None or latest.metadata.get("run_id") != run.run_id:
            if run.checkpoint_id:
                config["configurable"]["checkpoint_id"] = run.checkpoint_id
            return self.agent.initial_state(run.input)
        at = latest.config["configurable"]["checkpoint_id"]
        if not run.resume or run.resume["checkpoint_id"] != at:
            return None
        taken = await checkpoints.list_answered(run.thread_id)
        left = {id_: given for id_, given in run.resume["answers"].items() if id_ not in taken}
        return Command(resume=left) if left else None

    async def _values(self, steps: StreamTranslator) -> Any:
        if steps.values is not None:
            return steps.values
        await self.log.wait_flushed()
        return (await self.graph.aget_state(self._config())).values

    async def _wait(self, steps: StreamTranslator, checkpoints: Checkpoints) -> None:
        run = self.run
        await self.log.wait_flushed()
        latest = await checkpoints.aget_tuple({"configurable": {"thread_id": run.thread_id}})
        at = latest.config["configurable"]["checkpoint_id"] if latest else None
        run.interrupts = [{**interrupt, "checkpoint_id": at} for interrupt in steps.interrupts]
        run.status = "waiting"
        shown = [{"id": item["id"], "value": item["value"]} for item in run.interrupts]
        await finish_shielded(self.log.record(run, "run.waiting", data={"interrupts": shown}))

    async def _end(self, status: Any, type_: str, data: dict[str, Any]) -> None:
        run = self.run
        # What steps had done stays on the thread, though nobody is told of their end any more.
        self.log.release_all_writes()
        run.status, run.ended_at = status, time.time()
        run.resume, run.interrupts = None, []
        forgotten = delete_thread(run.thread_id) if run.own_thread else ()
        await finish_shielded(self.log.record(run, type_, *forgotten, data=data))


def is_storage_failure(error: BaseException) -> bool:
    """Whether the disk did not take what it was given: no fault of the run's."""
    return isinstance(error, MotetError) and error.code == "run_storage_failed"


async def finish_shielded(work: Any) -> None:
    """Finish `work` even while the task is being cancelled: the end of a run is always written."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task


def start_event_data(run: Run) -> dict[str, Any]:
    """What the first event of an attempt says of its run."""
    thread_id = None if run.own_thread else run.thread_id
    return {"agent": run.agent, "version": run.version, "thread_id": thread_id}


def describe_error(error: Exception) -> dict[str, Any]:
    """The error for the run's record: ours as it is, a foreign one by type and text."""
    if isinstance(error, MotetError):
        return error.as_dict()
    if isinstance(error, GraphRecursionError):
        return Invalid(
            "The graph took more steps than its bound allows; raise `max_steps` or bound the loop.",
            code="too_many_steps",
        ).as_dict()
    if isinstance(error, InvalidUpdateError):
        told = str(error).splitlines()[0]
        return Invalid(
            "Nodes that run in parallel wrote the same channel. Give it a reducer, or let them "
            f"write different ones. ({told})",
            code="parallel_writes",
        ).as_dict()
    return MotetError(f"{type(error).__name__}: {error}", code="step_failed").as_dict()
