"""Sends what a model generates to the one who asked, and ends it early where it should end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from transformers import StoppingCriteria, TextStreamer

from config.errors import Cancelled
from models.backends.transformers.stop_sequences import StopSequenceFilter
from models.output.call_candidates import MARKS as CALL_MARKS
from models.output.harmony import MARKS as HARMONY_MARKS
from models.output.thinking import MARKS
from models.workers.host import TaskHandle


class PieceStreamer(TextStreamer):  # type: ignore[misc]
    """The streamer of one generation: emits {"text": ...} for each piece.

    Called between two tokens, so it also is where a request that was given up ends. Of special
    tokens only those are written that mark thinking and calls. `ends` are those that end an answer.
    """

    def __init__(
        self, tokenizer: Any, task: TaskHandle, ends: frozenset[int], stops: Sequence[str] = ()
    ) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=False)
        self._task = task
        self._until = StopSequenceFilter(stops)
        self._ends = ends
        self._unwritten = ends | _unwritten_tokens(tokenizer)
        self.tokens = 0
        self.ended = False
        """Whether the model itself ended its answer."""

    @property
    def stopped(self) -> bool:
        """Whether one of the stops came."""
        return self._until.stopped

    def put(self, value: torch.Tensor) -> None:
        if self._task.cancelled():
            raise Cancelled("The caller gave up.")
        if self.next_tokens_are_prompt:
            super().put(value)
            return
        tokens = value.flatten().tolist()
        self.tokens += len(tokens)
        self.ended = tokens[-1] in self._ends
        if written := [token for token in tokens if token not in self._unwritten]:
            super().put(torch.tensor(written))

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        shown = self._until.feed(text) + (self._until.end() if stream_end else "")
        if shown:
            self._task.emit({"text": shown})

    def criterion(self) -> StoppingCriteria:
        """Return the criterion for `generate` that ends it when a stop came."""
        return _Stop(self)


def end_tokens(model: Any) -> frozenset[int]:
    """Return the tokens with which a model ends its answers."""
    ends = model.generation_config.eos_token_id
    return frozenset(ends if isinstance(ends, list) else [] if ends is None else [ends])


def _unwritten_tokens(tokenizer: Any) -> frozenset[int]:
    known = {*MARKS, *HARMONY_MARKS, *CALL_MARKS, *chain.from_iterable(CALL_MARKS.values())}
    return frozenset(
        number
        for number, text in zip(
            tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True
        )
        if text not in known
    )


class _Stop(StoppingCriteria):  # type: ignore[misc]
    def __init__(self, pieces: PieceStreamer) -> None:
        self._pieces = pieces

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._pieces.stopped, device=input_ids.device)
