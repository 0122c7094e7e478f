"""One attempt at a run: LangGraph's stream in, numbered events out, one way to end.

Owns what happens between the start of an attempt and the commit of its end. When it begins is
`executor`'s, what an event says is `stream_translator`'s, the order on disk is `run_log`'s.

Invariant: each end is one transaction of the run's state, the last events and what is deleted with
the run; the run changes its status just before, and readers see it just after.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained, GraphRecursionError
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import RunControl
from langgraph.types import Command

from config.errors import MotetError
from graphs.run_context import ClaimStep
from graphs.templates.rendering import evaluate
from runs.checkpoint_statements import delete_thread
from runs.checkpoints import Checkpoints
from runs.events import RunEvent
from runs.failures import describe_error, error_text, find_origin
from runs.graph_stream import GraphStream, Part
from runs.input_choice import Answers, GoOn, InputChoice, NewInput, ThreadPosition, choose_input
from runs.journal import JOURNAL
from runs.outputs import PickedOutput
from runs.record import Run, RunRequest, RunStatus
from runs.run_log import RunLog
from runs.stream_translator import StreamTranslator, ended_step
from runs.task_writes import list_answered, list_finished_tasks
from runs.thread_shapes import thread_config
from tools.json_schema.schema import run_checks
from tools.user_code.ending import IS_RUN_CANCELLED
from tools.user_code.guard import contain

if TYPE_CHECKING:
    from graphs.agent import Agent

log = logging.getLogger(__name__)

Result = TypeVar("Result")

ContextFactory: TypeAlias = Callable[[Run, ClaimStep], Any]
"""Makes what the nodes of a run may use."""
SHUTDOWN = "shutdown"
"""The reason of a cancellation after which the run continues at the next start."""


@dataclass(slots=True)
class Execution:
    """A run that is under way or queued in this process."""

    run: Run
    agent: Agent
    graph: CompiledStateGraph[Any, Any, Any, Any]
    log: RunLog
    first_writes: Any = None
    """The graph's first writes, made from the input; None where the attempt makes them if it needs
    them."""
    accepted: Callable[[], Coroutine[Any, Any, None]] | None = None
    """Waits until the attempt is on disk; where it raises, the attempt is not made."""
    again: str | None = None
    """Why the run, under way on disk, is taken up again; the attempt begins in its turn."""
    alone: bool = False
    """Whether it waits for other such runs: each of them may be what ended earlier processes."""
    control: RunControl = field(default_factory=RunControl)
    task: asyncio.Task[None] | None = None
    cancel_reason: str | None = None
    draining: bool = False
    """Whether it is to leave at its next step, and to continue at the next start."""
    begun: bool = False
    """Whether this attempt counts among the run's `open_attempts`."""

    output: PickedOutput | None = None

    def show(self) -> Run:
        """Return the run with its whole output, if it has one."""
        if self.output and self.run.output is None:
            self.run.output = self.output.whole()
        return self.run

    def drain(self) -> None:
        """Ask the attempt to leave at its next step, and return at once."""
        self.draining = True
        self.control.request_drain(SHUTDOWN)

    def cancel(self, reason: str) -> None:
        """Ask the attempt to end, and return at once; the first reason counts."""
        if self.cancel_reason is None:
            self.cancel_reason = reason
            if self.task:
                self.task.cancel()

    async def wait_done(self) -> None:
        """Wait until the run has ended, waits for a person, or has left this process."""
        if self.task:
            await asyncio.wait([self.task])

    async def execute(self, checkpoints: Checkpoints, context: ContextFactory) -> None:
        """Run until the graph ends, waits for a person, fails, is cancelled or drained.

        Raises only what the store raises: the run is then on disk as it was.
        """
        try:
            if self.again or self.run.status == "queued":
                await finish_shielded(self._begin())
                if self.cancel_reason:
                    raise asyncio.CancelledError
            stream = await self._stream(checkpoints, context)
            if stream.interrupts:
                await self._wait_for_person(stream, checkpoints)
            else:
                await self._finish(await self._values(stream), checkpoints)
        except BaseException as error:
            # Any node may raise this, or ask for it: then the step has failed.
            if isinstance(error, GraphDrained) and self.draining:
                await self._leave()
                log.info("run %s drained: it continues at the next start", self.run.run_id)
            # A cancellation that nobody asked for is an error of user code, as an exit is: outside
            # of nodes, reducers and validators of a state's type run in this very task.
            elif isinstance(error, asyncio.CancelledError) and self._is_being_cancelled():
                await self.end_cancelled()
            elif self.log.failure or is_storage_failure(error):
                raise
            else:
                await self._end_failed(contain(error), find_origin(error, self.agent))

    def _is_being_cancelled(self) -> bool:
        task = asyncio.current_task()
        return self.cancel_reason is not None or (task is not None and task.cancelling() > 0)

    async def _end_failed(self, error: Exception, origin: dict[str, Any]) -> None:
        if isinstance(error, GraphRecursionError):
            error = self.agent.too_many_steps()
        self.run.error = describe_error(error, origin)
        await self._end("failed", self.run.error["code"], {"error": self.run.error})

    async def end_cancelled(self) -> None:
        """Record the cancellation, unless the run is to continue at the next start."""
        if self.cancel_reason == SHUTDOWN:
            await finish_shielded(self._leave())
            log.info("run %s cut off: it continues at the next start", self.run.run_id)
        else:
            reason = self.cancel_reason or "requested"
            await self._end("cancelled", reason, {"reason": reason})

    async def _leave(self) -> None:
        """Note on disk that the attempt has ended with an orderly end of the process."""
        await self.log.wait_flushed()
        if self.begun:
            self.run.open_attempts -= 1
            await self.log.save(self.run)

    async def _begin(self) -> None:
        """Begin the attempt, now that its turn has come."""
        run = self.run
        run.transition("running", self.again or "its turn has come")
        self.begun = True
        data = {**describe_start(run), **({"reason": self.again} if self.again else {})}
        await self.log.record(run, self.log.number("run.started", attempt=run.attempt, data=data))

    async def _stream(self, checkpoints: Checkpoints, context: ContextFactory) -> StreamTranslator:
        config = self._config()
        choice = await self._choose_input(checkpoints)
        translator = await self._translator(choice, checkpoints)
        stream = GraphStream(lambda part: self._append(translator, part))
        stream.attach(config)
        steps = cast(
            "AsyncGenerator[Any, None]",
            self.graph.astream(
                await self._input(choice, config),
                config,
                context=context(self.run, self.log.claim),
                # Yields at each step's begin: none begins before the last one's end is appended.
                stream_mode="tasks",
                control=self.control,
                # Each checkpoint stands in the journal before the next steps begin.
                durability="sync",
            ),
        )
        # Left in the task's context it would hold the execution, which holds the task: a circle
        # that only the rare full collections end.
        token = IS_RUN_CANCELLED.set(lambda: self.cancel_reason is not None)
        try:
            async with aclosing(steps):
                async for _ in steps:
                    await self._wait_appended(stream)
        finally:
            if stream.has_backlog:
                await finish_shielded(stream.wait_drained())
            stream.close()
            IS_RUN_CANCELLED.reset(token)
        await self._wait_appended(stream)
        self.log.release_all_writes()
        return translator

    async def _wait_appended(self, stream: GraphStream) -> None:
        """Wait until what the graph has streamed is appended. Raises what the disk refused."""
        await stream.wait_drained()
        if self.log.failure:
            raise self.log.failure

    def _append(self, translator: StreamTranslator, part: Part) -> None:
        for type_, fields in translator.translate(part):
            self.log.append(type_, **fields)
        # Behind its last event, so that the step's writes share the commit of its end.
        if (step := ended_step(part)) is not None:
            self.log.release_step_writes(step)

    async def _translator(self, choice: InputChoice, checkpoints: Checkpoints) -> StreamTranslator:
        if self.run.attempt == 1 and isinstance(choice, NewInput):
            return StreamTranslator()
        earlier = await self.log.read_steps()
        done = await list_finished_tasks(checkpoints.database, self.run)
        return StreamTranslator(earlier, done)

    def _config(self) -> RunnableConfig:
        run = self.run
        return {
            "configurable": {"thread_id": run.thread_key, JOURNAL: self.log},
            "metadata": {"run_id": run.run_id, "agent": run.agent},
            "recursion_limit": self.agent.recursion_limit,
        }

    async def _choose_input(self, checkpoints: Checkpoints) -> InputChoice:
        run = self.run
        # Nothing on the thread could change what a new run with input begins with.
        if run.attempt == 1 and run.input is not None and run.checkpoint_id is None:
            return NewInput()
        latest = await checkpoints.aget_tuple(thread_config(run.thread_key))
        if latest is None:
            return NewInput()
        position = ThreadPosition(
            latest_id=latest.config["configurable"]["checkpoint_id"],
            latest_run_id=latest.metadata.get("run_id"),
            has_steps=run.input is None and await has_steps(self.graph, run),
            answered=await list_answered(checkpoints.database, run) if run.resume else frozenset(),
        )
        return choose_input(run, position)

    async def _input(self, choice: InputChoice, config: RunnableConfig) -> Any:
        """Return what LangGraph is given; `config` comes to name the checkpoint, if any."""
        first = self.first_writes
        if isinstance(choice, Answers):
            return Command(resume=choice.answers)
        if choice.checkpoint_id is not None:
            config["configurable"]["checkpoint_id"] = choice.checkpoint_id
        if isinstance(choice, GoOn):
            return None
        if first is not None:
            return first
        return await run_checks(lambda: self.agent.initial_state(self.run.input))

    async def _values(self, translator: StreamTranslator) -> Any:
        """Return the graph's last state; where it streamed none, that of its checkpoint."""
        if translator.values is not None:
            return translator.values
        await self.log.wait_flushed()
        return (await self.graph.aget_state(self._config())).values

    async def _wait_for_person(
        self, translator: StreamTranslator, checkpoints: Checkpoints
    ) -> None:
        run = self.run
        # The answers are valid at the checkpoint of the questions alone, which must be on disk.
        await self.log.wait_flushed()
        latest = await checkpoints.aget_tuple(thread_config(run.thread_key))
        at = latest.config["configurable"]["checkpoint_id"] if latest else None
        run.interrupts = [{**interrupt, "checkpoint_id": at} for interrupt in translator.interrupts]
        questions = [{"id": each["id"], "value": each["value"]} for each in run.interrupts]
        reason = f"{len(questions)} open questions"
        last = self.log.number_end(run, "waiting", reason, {"interrupts": questions})
        await finish_shielded(self.log.record(run, last))

    async def _finish(self, values: Any, checkpoints: Checkpoints) -> None:
        run = self.run
        picked = await evaluate(lambda _: self.agent.pick(values))
        # The parts of a run's own thread are deleted with its end.
        parts = {} if run.own_thread else checkpoints.find_parts(run.thread_key, picked)
        self.output = PickedOutput(picked, parts)
        run.encoded_output = self.output.encode()
        self.log.release_all_writes()
        await self._record_end(self.log.number_finish(run, "agent's output", self.output.whole))

    async def _end(self, status: RunStatus, reason: str, data: dict[str, Any]) -> None:
        # What steps had done stays on the thread, though no event reports their end any more.
        self.log.release_all_writes()
        await self._record_end(self.log.number_end(self.run, status, reason, data))

    async def _record_end(self, last: RunEvent) -> None:
        forgotten = delete_thread(self.run.thread_key) if self.run.own_thread else ()
        await finish_shielded(self.log.record(self.run, last, *forgotten))

    async def fail(self, stored: Run, error: BaseException) -> None:
        """Record that the attempt broke on a fault of the engine; `stored` is the run on disk."""
        self.run = stored
        self.log.rewind()
        fault = MotetError(error_text(error), code="internal_error")
        stored.error = fault.as_dict()
        await self._end("failed", fault.code, {"error": stored.error})


async def has_steps(graph: CompiledStateGraph[Any, Any, Any, Any], run: Run | RunRequest) -> bool:
    """Return whether steps follow where a run starts: at its checkpoint, or its thread's latest."""
    start = thread_config(str(run.thread_key), run.checkpoint_id)
    # Not `next`, which leaves out what has finished: a crash may come before the checkpoint.
    return bool((await graph.aget_state(start)).tasks)


def is_storage_failure(error: BaseException) -> bool:
    """Return whether the disk refused a write: no fault of the run's."""
    return isinstance(error, MotetError) and error.code == "run_storage_failed"


async def finish_shielded(work: Coroutine[Any, Any, Result]) -> Result:
    """Finish `work` even while the task is being cancelled: the end of a run is always written.

    The cancellation itself is dropped: what it was to end has just ended.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        return await task


def describe_start(run: Run) -> dict[str, Any]:
    """Return what the first event of an attempt says of its run."""
    thread_id = None if run.own_thread else run.thread_id
    return {"agent": run.agent, "version": run.version, "thread_id": thread_id}
