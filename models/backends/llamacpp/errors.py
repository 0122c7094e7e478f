"""What llama.cpp says when a load or a request fails, in our families."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import openai

from config.errors import Invalid, MotetError, TimedOut, Unavailable
from models.backends.openai.errors import Translator
from models.workers import errors
from models.workers.process import WorkerProcess

HOST = "http://localhost"
URL = f"{HOST}/v1"
"""The address of every model of ours: which one is meant is decided by the socket."""
TOO_LONG = "exceed_context_size_error"
NO_ROOM = re.compile(
    r"out of memory|(failed|unable) to allocate|cannot allocate memory", re.IGNORECASE
)
NO_CONNECTION = frozenset({"openai_unreachable", "model_connection_lost"})
EXIT_NOTICE_S = 2.0
"""A dead worker's connections break some milliseconds before its end is known."""
LEVEL = re.compile(r"^\d+\.\d+\.\d+\.\d+ E (?P<text>.+)")
"""A line of llama.cpp's log that tells of an error."""


class WorkerTranslator(Translator):
    """Translates for the model of one worker. A worker that was silent too long is killed."""

    def __init__(self, worker: WorkerProcess, silence_s: float) -> None:
        super().__init__(URL, worker.name, None, silence_s)
        self._worker = worker

    def __call__(self, error: Exception) -> MotetError:
        if isinstance(error, openai.APIStatusError) and error.type == TOO_LONG:
            return self._too_long(error)
        translated = super().__call__(error)
        if isinstance(translated, TimedOut):
            return self._hanging()
        if translated.code == "openai_unreachable":
            # Its server has ended, as by SIGTERM, and a process without it is of no use.
            self._worker.kill()
        return worker_died(self._worker) if translated.code in NO_CONNECTION else translated

    async def explain_loss(self, error: MotetError) -> MotetError:
        if error.code != "worker_died":
            return error
        # The scheduler then knows it too, and the next lease loads the model anew.
        await asyncio.wait([self._worker.exited], timeout=EXIT_NOTICE_S)
        return worker_died(self._worker)

    def _too_long(self, error: openai.APIStatusError) -> MotetError:
        body: dict[str, Any] = error.body if isinstance(error.body, dict) else {}
        tokens, context = body.get("n_prompt_tokens"), body.get("n_ctx")
        return Invalid(
            f"The prompt has {tokens} tokens, and the context of '{self._worker.name}' holds "
            f"{context}. Shorten it, or raise the model's option `context` where the model can "
            "read more.",
            code="context_overflow",
            details={"model": self._worker.name, "tokens": tokens, "context": context},
        )

    def _hanging(self) -> MotetError:
        self._worker.kill()
        return TimedOut(
            f"'{self._worker.name}' was silent for {self._silence_s:g} s and was ended. Raise the "
            "model's option `timeout_s` where it may take longer.",
            code="model_timed_out",
        )


def worker_died(worker: WorkerProcess) -> Unavailable:
    """Make the error of a request whose connection to the worker broke."""
    returncode = worker.exited.result().returncode if worker.exited.done() else None
    return errors.died(worker.name, returncode, worker.stderr)


def explain_failed_load(name: str, error: Unavailable) -> Unavailable:
    """Tell why llama.cpp could not load a model, by what it printed."""
    lines = [str(line) for line in error.details.get("stderr", ())]
    if error.code != "load_failed":
        return error
    if any(NO_ROOM.search(line) for line in lines):
        return Unavailable(
            f"llama.cpp has no room for '{name}'. A shorter `context`, fewer `slots` or a smaller "
            "model take less.",
            code="out_of_memory",
            details=error.details,
        )
    return Unavailable(
        f"llama.cpp cannot load '{name}': {_find_reason(lines)}",
        code="model_unreadable",
        details=error.details,
    )


def _find_reason(lines: Sequence[str]) -> str:
    """Return the first error that llama.cpp printed; it is the one that the others follow from."""
    printed = [match["text"].strip() for line in lines if (match := LEVEL.match(line))]
    reason = printed[0] if printed else (lines[-1] if lines else "it does not say why")
    return reason.partition(": ")[2] or reason
