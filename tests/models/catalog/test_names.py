"""Which names of models can stand for a model, decided by models.yaml and what back ends can do."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import load_settings
from models.catalog.file import load_models
from models.catalog.names import find_name_problem, list_voices
from models.catalog.spec import Task
from server.adapters.declarations import declared_drivers

MODELS = """\
models:
  big: {task: chat, backend: openai, source: gpt-oss-120b}
roles:
  sorter: [minilm]
"""


def problem(home: Path, name: str, task: Task) -> str | None:
    (home / "models.yaml").write_text(MODELS)
    settings = load_settings(home=home)
    file = load_models(settings)
    return find_name_problem(file, declared_drivers(settings, file), name, task)


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("chat", "chat"), ("reader", "chat"), ("big", "chat"), ("ollama/qwen3", "chat"),
        ("embed", "embed"), ("ollama/nomic-embed-text", "embed"), ("vision", "caption"),
        ("rerank", "rerank"), ("image", "image"), ("voice", "speech"), ("vision", "chat"),
    ],
)  # fmt: skip
def test_name_that_may_stand_for_a_model_is_no_problem(
    tmp_path: Path, name: str, task: Task
) -> None:
    assert problem(tmp_path, name, task) is None


@pytest.mark.parametrize(
    ("name", "task", "words"),
    [
        ("chta", "chat", "Did you mean 'chat'?"),
        ("reader", "embed", "model 'reader' is for chat, not for embedding"),
        ("chat", "rerank", "role 'chat' has no model for reranking"),
        ("sorter", "rerank", "role 'sorter' has no model for reranking"),
        ("olama/qwen3", "chat", "no back end 'olama'. Did you mean 'ollama'?"),
        ("openai/gpt-5", "chat", "declare a model of the back end 'openai'"),
        ("ollama/", "chat", "cannot be taken"),
        ("ollama/x", "speech", "cannot be taken for speaking"),
    ],
)
def test_name_that_can_never_be_taken_is_told_with_a_remedy(
    tmp_path: Path, name: str, task: Task, words: str
) -> None:
    assert words in (problem(tmp_path, name, task) or "")


SPEAKERS = """\
models:
  anna: {task: speech, backend: openai, options: {base_url: "http://a/v1", voices: [anna, ann]}}
  bert: {task: speech, backend: openai, options: {base_url: "http://b/v1", voices: [bert]}}
  mute: {task: speech, backend: openai, options: {base_url: "http://c/v1"}}
  torn: {task: speech, backend: openai, options: {base_url: "http://d/v1", voices: 5}}
roles:
  told: [anna, bert]
  untold: [anna, mute]
"""


@pytest.mark.parametrize(
    ("name", "voices"),
    [
        ("anna", ["anna", "ann"]),
        ("told", ["anna", "ann", "bert"]),
        ("untold", None),
        ("mute", None),
        ("torn", None),
        ("voice", None),
        ("nosuch", None),
    ],
)
def test_voices_are_listed_where_models_yaml_tells_all(
    tmp_path: Path, name: str, voices: list[str] | None
) -> None:
    (tmp_path / "models.yaml").write_text(SPEAKERS)

    assert list_voices(load_models(load_settings(home=tmp_path)), name) == voices
