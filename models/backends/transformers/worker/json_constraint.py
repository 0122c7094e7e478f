"""Holds what a model writes to a JSON schema, by llguidance.

Owns the tokenizer in llguidance's form, and the masks of single answers. Thinking before the JSON
is free. Invariant: what llguidance cannot do loosens the constraint and never fails an answer;
`loosened` says what it was. Whether the answer fits is checked by those who asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import llguidance.hf
import llguidance.numpy
import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from transformers import LogitsProcessor, StoppingCriteria

from models.output.thinking import PAIRS

WHITE_SPACE = r"( |\n[ \t]{0,20})"
"""Between the parts of a value: bounded, or a small model fills its answer with blanks."""
TAG_TOKENS = 12
"""At the end of a text; the tag that ends thinking lies within them."""


class JsonConstraints:
    """Makes the constraints of one model's answers.

    `ends` are the tokens that end an answer.
    """

    def __init__(self, tokenizer: Any, model: Any, ends: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        self._vocabulary: int = model.config.get_text_config().vocab_size
        self._ends = sorted(ends)
        self._read: LLTokenizer | None = None

    def constrain(self, schema: Mapping[str, Any], opened: str = "") -> JsonConstraint:
        """Make the constraint of one answer; `opened` is the tag of thinking that has begun.

        The first call reads the tokenizer, which takes a second for a large vocabulary.
        """
        try:
            matcher, loosened = self._match(schema)
        except Exception as error:  # such as a tokenizer that llguidance cannot read
            matcher, loosened = None, [f"not at all: {error}"]
        return JsonConstraint(matcher, loosened, self._tokenizer, opened)

    def _match(self, schema: Mapping[str, Any]) -> tuple[LLMatcher | None, list[str]]:
        if self._read is None:
            self._read = llguidance.hf.from_tokenizer(
                self._tokenizer, n_vocab=self._vocabulary, eos_token=self._ends or None
            )
        # Lenient: keywords that llguidance does not know are passed over, with a warning.
        grammar = LLMatcher.grammar_from_json_schema(
            dict(schema), overrides={"lenient": True, "whitespace_pattern": WHITE_SPACE}
        )
        matcher = LLMatcher(self._read, grammar, log_level=0)
        if matcher.is_error():
            return None, [f"not at all: {matcher.get_error()}"]
        return matcher, matcher.get_grammar_warnings()


class JsonConstraint(LogitsProcessor):  # type: ignore[misc]
    """The constraint of one answer: leaves only the tokens with which its text can go on."""

    def __init__(
        self, matcher: LLMatcher | None, loosened: list[str], tokenizer: Any, opened: str
    ) -> None:
        self._matcher = matcher
        self.loosened = loosened
        """What the answer is not held to."""
        self._tokenizer = tokenizer
        self._close = PAIRS.get(opened, "")
        """The tag that ends the thinking under way."""
        self._openers = {} if opened else _find_openers(tokenizer)
        """By the first token of an answer that thinks, the tag that ends its thinking."""
        self._tail: list[int] = []
        self._prompt_read = False
        self._tokens_read = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.read(input_ids)
        if self._matcher is None or self._close:
            return scores
        bits = llguidance.numpy.allocate_token_bitmask(1, scores.shape[-1])
        llguidance.numpy.fill_next_token_bitmask(self._matcher, bits)
        if self._loosen_after_error():
            return scores
        flags = np.unpackbits(bits.view(np.uint8), bitorder="little")[: scores.shape[-1]]
        flags[list(self._openers)] = 1
        allowed = torch.from_numpy(flags.astype(bool)).to(scores.device)
        return scores.masked_fill(~allowed, -torch.inf)

    @property
    def is_complete(self) -> bool:
        """Whether the value is whole and nothing can follow it."""
        return self._matcher is not None and not self._close and self._matcher.is_stopped()

    def read(self, input_ids: torch.Tensor) -> None:
        """Take the tokens that were written since the last call; the first has the prompt alone."""
        if self._prompt_read:
            for token in input_ids[0, self._tokens_read :].tolist():
                self._take(token)
        self._prompt_read, self._tokens_read = True, input_ids.shape[1]

    def criterion(self) -> StoppingCriteria:
        """Return the criterion for `generate` that ends it with the value."""
        return _Complete(self)

    def _take(self, token: int) -> None:
        close, self._openers = self._openers.get(token), {}
        if close:
            self._close = close
        elif self._close:
            self._tail = [*self._tail[1 - TAG_TOKENS :], token]
            if self._close in self._tokenizer.decode(self._tail):
                self._close = ""
        elif self._matcher is not None:
            self._matcher.consume_token(token)
            self._loosen_after_error()

    def _loosen_after_error(self) -> bool:
        if self._matcher is None or not self._matcher.is_error():
            return False
        self.loosened = [*self.loosened, f"the rest: {self._matcher.get_error()}"]
        self._matcher = None
        return True


class _Complete(StoppingCriteria):  # type: ignore[misc]
    def __init__(self, constraint: JsonConstraint) -> None:
        self._constraint = constraint

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        self._constraint.read(input_ids)
        done = self._constraint.is_complete
        return torch.full((input_ids.shape[0],), done, device=input_ids.device)


def _find_openers(tokenizer: Any) -> dict[int, str]:
    """Return the tokens of the vocabulary that begin thinking, with the tag that ends it."""
    numbers = {opening: tokenizer.convert_tokens_to_ids(opening) for opening in PAIRS}
    unknown = tokenizer.unk_token_id
    return {
        number: PAIRS[opening]
        for opening, number in numbers.items()
        if number is not None and number != unknown
    }
