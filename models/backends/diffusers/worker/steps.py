"""Progress, step by step; and where a drawing stops that nobody waits for."""

from __future__ import annotations

from typing import Any

from models.backends.diffusers.worker.calls import uses
from models.backends.diffusers.worker.previews import preview
from models.backends.diffusers.worker.request import CheckedRequest
from models.workers.host import TaskHandle


class StepReporter:
    """Counts the steps of all batches of an order, and tells them."""

    def __init__(self, task: TaskHandle, request: CheckedRequest, batches: int) -> None:
        self._task = task
        self._request = request
        self._batches = batches
        self._done = 0

    def callback(self, pipeline: Any) -> dict[str, Any]:
        """Return the arguments that make the pipeline report its steps; none where it cannot."""
        if uses(pipeline, "callback_on_step_end"):
            return {"callback_on_step_end": self._step}
        return {}

    def _step(self, pipeline: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        each = getattr(pipeline, "num_timesteps", self._request.steps)
        self._done += 1
        # A batch that was halved for want of memory makes more of them than was foreseen.
        total = max(self._done, each * self._batches)
        every = self._request.preview_every
        shown = b""
        if every and self._done % every == 0 and "latents" in tensors:
            size = (self._request.width, self._request.height)
            shown = preview(pipeline, tensors["latents"], size)
        # Raises when the caller gave up: it ends the call between two steps, and nothing is
        # decoded for nobody. `pipeline._interrupt` would skip the steps and then decode.
        self._task.emit({"kind": "step", "step": self._done, "total": total}, shown)
        return {}
