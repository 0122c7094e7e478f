"""One vocabulary of sampling, its bounds, and what each back end calls it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from config.errors import Invalid
from models.backends.common.options import Options
from models.backends.common.sampling import (
    dump_sampling,
    for_ollama,
    for_openai,
    for_worker,
    take_sampling,
)
from models.backends.llamacpp.options import LlamaCppChatOptions
from models.backends.ollama.options import OllamaOptions
from models.backends.openai.options import OpenAIChatOptions
from models.backends.transformers.options import TransformersChatOptions
from models.capabilities.sampling import MAX_ANSWER_TOKENS, Sampling, default_max_tokens

ALL: dict[str, Any] = {
    "temperature": 0.2,
    "top_p": 0.9,
    "top_k": 40,
    "seed": 7,
    "max_tokens": 100,
    "stop": ["END"],
}
CHATS: dict[type[Options], dict[str, Any]] = {
    LlamaCppChatOptions: {},
    OllamaOptions: {},
    OpenAIChatOptions: {"base_url": "http://127.0.0.1:9/v1"},
    TransformersChatOptions: {},
}
"""The options of chat models, with what they need besides."""


@pytest.mark.parametrize("kind", CHATS)
def test_options_of_every_chat_back_end_know_the_whole_vocabulary(kind: type[Options]) -> None:
    options = kind.of("mine", {**CHATS[kind], **ALL})

    assert isinstance(options, Sampling)
    assert dump_sampling(options) == ALL


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -1),
        ("temperature", True),
        ("top_p", 0),
        ("top_k", 1.5),
        ("max_tokens", 0),
        ("seed", 2**32),
        ("stop", [""]),
    ],
)
@pytest.mark.parametrize("kind", CHATS)
def test_value_out_of_bounds_is_refused_with_model_and_field(
    kind: type[Options], field: str, value: Any
) -> None:
    with pytest.raises(Invalid, match=rf"mine: options\.{field}"):
        kind.of("mine", {**CHATS[kind], field: value})


def test_single_stop_is_a_list_of_one() -> None:
    assert Sampling.model_validate({"stop": "END"}).stop == ["END"]
    with pytest.raises(ValidationError):
        Sampling.model_validate({"stop": ""})


def test_call_goes_before_the_options_and_leaves_the_rest_of_itself() -> None:
    call = {"temperature": 0.0, "seed": None, "tools": []}

    sampling = take_sampling({"temperature": 0.7, "seed": 1}, call)

    assert sampling == {"temperature": 0.0, "seed": 1}
    assert call == {"tools": []}


def test_stops_of_options_and_call_add_up() -> None:
    sampling = take_sampling({"stop": ["<end>"]}, {"stop": ["END"]}, ["END", "Q:"])

    assert sampling["stop"] == ["<end>", "END", "Q:"]


def test_each_back_end_is_told_in_its_own_words() -> None:
    openai, ollama, worker = for_openai(ALL), for_ollama(ALL), for_worker({"seed": 7})

    assert openai.pop("extra_body") == {"top_k": 40, "max_tokens": 100}
    assert openai == {name: ALL[name] for name in ("temperature", "top_p", "seed", "stop")}
    assert ollama == {
        "num_predict" if name == "max_tokens" else name: value for name, value in ALL.items()
    }
    assert worker == {**dict.fromkeys(ALL), "seed": 7, "stop": []}


@pytest.mark.parametrize(
    ("context", "tokens"),
    [(None, MAX_ANSWER_TOKENS), (4096, 2048), (131_072, MAX_ANSWER_TOKENS), (1, 1)],
)
def test_answer_that_nobody_bounds_has_half_the_context(context: int | None, tokens: int) -> None:
    assert default_max_tokens(context) == tokens
