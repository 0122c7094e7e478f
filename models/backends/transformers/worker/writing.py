"""Sends what a model generates to the one who asked, and ends it early where it should end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList, TextStreamer

from config.errors import Cancelled
from models.backends.transformers.stop_sequences import StopSequenceFilter
from models.workers.host import TaskHandle


class PieceStreamer(TextStreamer):  # type: ignore[misc]
    """The streamer of one generation: emits {"text": ...} for each piece.

    Called between two tokens, so it also is where a request that was given up ends.
    """

    def __init__(self, tokenizer: Any, task: TaskHandle, stops: Sequence[str] = ()) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._task = task
        self._until = StopSequenceFilter(stops)
        self.tokens = 0

    @property
    def stopped(self) -> bool:
        """Whether one of the stops came."""
        return self._until.stopped

    def put(self, value: torch.Tensor) -> None:
        if self._task.cancelled():
            raise Cancelled("The caller gave up.")
        if not self.next_tokens_are_prompt:
            self.tokens += value.numel()
        super().put(value)

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        shown = self._until.feed(text) + (self._until.end() if stream_end else "")
        if shown:
            self._task.emit({"text": shown})

    def criteria(self) -> StoppingCriteriaList:
        """Return the criteria for `generate` that end it when a stop came."""
        return StoppingCriteriaList([_Stop(self)])


class _Stop(StoppingCriteria):  # type: ignore[misc]
    def __init__(self, pieces: PieceStreamer) -> None:
        self._pieces = pieces

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._pieces.stopped, device=input_ids.device)
