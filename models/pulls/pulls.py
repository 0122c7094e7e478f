"""The pulls of this installation: one job for each model, a few at a time.

Owns the jobs, their tasks and their file. How a model is got is the back end's `Puller`.
Invariant: a model has one job under way at most, and an ended job never changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any

from config.errors import Invalid, MotetError, NotFound, Unavailable, nearest, shutting_down
from config.file_writer import FileWriter
from models.pulls.job import PullJob, PullState
from models.pulls.puller import Puller
from models.pulls.store import read_jobs, write_jobs

log = logging.getLogger(__name__)

AT_ONCE = 2
"""More at once would share the same line and finish later."""
SAVE_EVERY_S = 1.0
"""Progress comes several times a second; the file and the events need it less often."""

Target = Callable[[str, str | None], tuple[str, str]]
"""Back end and source for the name of a model, with the back end where one was named."""


class Pulls:
    """`puller_of` gives who pulls for a back end, or None. `on_event` is told of each job when its
    state changes, and of its progress about once a second.

    `close` it: what is under way is then interrupted, and goes on when it is started again.
    """

    def __init__(
        self,
        file: Path,
        target: Target,
        puller_of: Callable[[str], Puller | None],
        on_event: Callable[[dict[str, Any]], None] = lambda event: None,
    ) -> None:
        self._writer = FileWriter(file)
        self._target = target
        self._puller_of = puller_of
        self._on_event = on_event
        self._jobs = {job.name: job for job in read_jobs(file)}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._changed = asyncio.Event()
        self._saved_s = 0.0
        self._closing = False

    def start(self, name: str, backend: str | None = None) -> PullJob:
        """Begin, or go on; one under way already is that one.

        `name`: a model of models.yaml, "<backend>/<source>", or with a `backend` its source.
        Raises `NotFound` for an unknown name, `Invalid` ("not_pullable") where the back end pulls
        nothing.
        """
        backend, source = self._target(name, backend)
        puller = self._puller_of(backend)
        if puller is None or not source:
            raise Invalid(
                f"Models of the back end '{backend}' are not pulled: they come with it, or are "
                "elsewhere.",
                code="not_pullable",
                details={"field": "name", "model": name, "backend": backend},
            )
        if self._closing:
            raise shutting_down()
        job = PullJob(backend, source)
        if (before := self._jobs.get(job.name)) and before.under_way:
            return before
        self._jobs[job.name] = job
        task = asyncio.create_task(self._run(job, puller), name=f"pull {job.name}")
        self._tasks[job.name] = task
        task.add_done_callback(lambda ended: self._forget(job.name, ended))
        self._publish(job)
        return job

    def list(self) -> list[PullJob]:
        """List every job that is known, the one started last first."""
        return sorted(self._jobs.values(), key=lambda job: -job.started_at)

    def get(self, name: str) -> PullJob:
        """Find the job of a model, by any name that `start` takes.

        Raises `NotFound` (`pull_not_found`).
        """
        with contextlib.suppress(MotetError):
            name = "/".join(self._target(name, None))
        if name not in self._jobs:
            hint = nearest(name, list(self._jobs))
            raise NotFound(
                f"'{name[:80]}' was never pulled. {hint}",
                code="pull_not_found",
                details={"field": "pull"},
            )
        return self._jobs[name]

    async def cancel(self, name: str) -> PullJob:
        """Stop it; what it got is kept. One that ended already stays as it is."""
        job = self.get(name)
        if task := self._tasks.get(job.name):
            task.cancel()
            await asyncio.wait([task])
        await self.wait_saved()
        return job

    async def wait_saved(self) -> None:
        """Wait until the next start knows every job as it is now."""
        await self._writer.wait_written()

    async def watch(self, name: str) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the job as it is now, and whenever it changes, until it has ended."""
        job, last = self.get(name), None
        while True:
            # Before the job is read: no change is missed, even one while the reader takes this.
            changed = self._changed
            now, under_way = job.as_dict(), job.under_way
            if now != last:
                last = now
                yield now
            if not under_way:
                return
            if changed is self._changed:
                await changed.wait()

    async def close(self) -> None:
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._writer.close()

    async def _run(self, job: PullJob, puller: Puller) -> None:
        try:
            async with self._room:
                self._take_progress(job, {"status": "starting"})
                await puller.pull(job.source, lambda progress: self._take_progress(job, progress))
            job.completed_bytes = job.total_bytes
            job.end(PullState.DONE)
        except asyncio.CancelledError:
            job.end(PullState.INTERRUPTED if self._closing else PullState.CANCELLED)
            raise
        except MotetError as error:
            job.end(PullState.FAILED, error)
        except Exception as error:
            log.exception("pulling %s failed", job.name)
            message = f"'{job.name}' cannot be pulled: {type(error).__name__}: {error}"
            job.end(PullState.FAILED, Unavailable(message, code="pull_failed"))
        finally:
            self._publish(job)

    def _take_progress(self, job: PullJob, progress: Mapping[str, Any]) -> None:
        if not job.under_way:
            return  # a late line of one that was cancelled
        job.update(progress)
        self._publish(job, save=time.monotonic() - self._saved_s > SAVE_EVERY_S)

    def _publish(self, job: PullJob, *, save: bool = True) -> None:
        if save:
            self._saved_s = time.monotonic()
            write_jobs(self._writer, self._jobs.values())
            self._on_event(job.as_dict())
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _forget(self, name: str, ended: asyncio.Task[None]) -> None:
        job = self._jobs[name]
        # A pull started again meanwhile has the name already; its task is another.
        if self._tasks.get(name) is ended:
            del self._tasks[name]
            if job.under_way:  # cancelled before its first step
                job.end(PullState.INTERRUPTED if self._closing else PullState.CANCELLED)
                self._publish(job)
