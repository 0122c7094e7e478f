"""Sampling: how a chat model chooses its tokens, and how many. One vocabulary for all back ends.

Owns the names and bounds of what nodes, models.yaml and calls may say, and the bound that holds
where nobody says one. What each back end calls these is `models.backends.common.sampling`'s.
Invariant: a field that is None leaves the choice to the model, or to its server.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
)

from config.validation_words import refuse_bool_as_number

MAX_SEED = 2**32 - 2
"""llama.cpp takes the number above it for "any"."""
ANSWER_SHARE = 0.5
"""Of a context: what an answer may take that nobody bounds."""
MAX_ANSWER_TOKENS = 8192
"""The same where a context is large, or not known: so that a model which never stops is stopped."""
Stops = Annotated[
    list[Annotated[str, StringConstraints(min_length=1)]],
    BeforeValidator(
        lambda value: [value] if isinstance(value, str) else value,
        json_schema_input_type=str | list[str],
    ),
]


class TokenChoice(BaseModel):
    """How tokens are chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    _check_numbers = field_validator("*", mode="wrap")(refuse_bool_as_number)

    temperature: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="0: always the likeliest token."
    )
    top_p: float | None = Field(
        None, gt=0, le=1, description="Among the likeliest tokens that have this probability."
    )
    top_k: int | None = Field(None, ge=0, description="Among so many likeliest tokens; 0: all.")
    seed: int | None = Field(
        None, ge=0, le=MAX_SEED, description="The same seed gives the same answer."
    )


class Sampling(TokenChoice):
    """How an answer is written: the choice of its tokens, and where it ends."""

    max_tokens: int | None = Field(
        None, ge=1, description="Tokens of an answer, thinking included; half the context."
    )
    stop: Stops | None = Field(None, description="Texts before which an answer ends.")


def default_max_tokens(context: int | None) -> int:
    """Return the bound on an answer that nobody bounds, by the tokens of the model's context."""
    if context is None:
        return MAX_ANSWER_TOKENS
    return max(1, min(MAX_ANSWER_TOKENS, int(ANSWER_SHARE * context)))
