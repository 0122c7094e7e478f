"""How much too long a prompt was, in the words of many servers."""

from __future__ import annotations

import pytest

from models.backends.common.overflow import read_overflow

TOLD = [
    ("request (6015 tokens) exceeds the available context size (4096 tokens), try increasing it",
     6015, 4096),
    ("This model's maximum context length is 4097 tokens. However, your messages resulted in 5000 "
     "tokens. Please reduce the length of the messages.", 5000, 4097),
    ("This model's maximum context length is 2048 tokens. However, you requested 3000 tokens (2000 "
     "in the messages, 1000 in the completion).", 2000, 2048),
    ("This model's maximum context length is 2048 tokens. However, your request has 3000 input "
     "tokens. Please reduce the length of the input messages.", 3000, 2048),
    ("Requested token count exceeds the model's maximum context length of 2048 tokens. You "
     "requested a total of 3000 tokens: 2000 tokens from the input messages and 1000 tokens for "
     "the completion.", 2000, 2048),
    ("The input (3000 tokens) is longer than the model's context length (2048 tokens).",
     3000, 2048),
    ("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 3000 "
     "`inputs` tokens and 100 `max_new_tokens`", 3000, 2048),
    ("prompt is too long: 210000 tokens > 200000 maximum", 210000, 200000),
    ("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
     1200000, 1048576),
]  # fmt: skip


@pytest.mark.parametrize(("text", "tokens", "context"), TOLD)
def test_the_numbers_are_read_from_what_a_server_says(text: str, tokens: int, context: int) -> None:
    assert read_overflow(text) == {"tokens": tokens, "context": context}


def test_the_numbers_are_read_from_the_errors_own_fields() -> None:
    body = {"message": "too long", "n_prompt_tokens": 6015, "n_ctx": 4096}

    assert read_overflow("too long", body) == {"tokens": 6015, "context": 4096}


def test_what_is_not_told_is_left_out() -> None:
    said = (
        "Trying to keep the first 9000 tokens when the context overflows. However, the model is "
        "loaded with context length of only 4096 tokens"
    )

    told = read_overflow(said)

    assert told == {"context": 4096}
    assert read_overflow("the input length exceeds the context length", "no object") == {}
