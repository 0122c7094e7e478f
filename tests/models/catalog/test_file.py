"""Reading models.yaml: the shipped file, the user's, and what is wrong in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import Invalid
from config.settings import Settings, load_settings
from models.catalog.file import OPTIONAL_ROLES, load_models


def settings_with(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "models.yaml").write_text(text)
    return load_settings(home=tmp_path)


def test_the_shipped_file_ends_every_role_in_an_embedded_default(tmp_path: Path) -> None:
    loaded = load_models(load_settings(home=tmp_path))
    assert loaded.roles["chat"] == ["llamacpp/*", "ollama/*", "openai/*", "reader"]
    assert loaded.models[loaded.roles["embed"][-1]].backend == "minilm"
    assert loaded.roles["rerank"] == []
    for role in loaded.roles.keys() - OPTIONAL_ROLES:
        assert loaded.roles[role][-1] in loaded.models


def test_the_users_file_adds_models_changes_fields_and_replaces_roles(tmp_path: Path) -> None:
    loaded = load_models(
        settings_with(
            tmp_path,
            """
models:
  big: {task: chat, backend: openai, source: gpt-oss-120b, pin: true}
  minilm: {keep_alive_s: -1}
roles: {chat: [big]}
backends: {ollama: {timeout_s: 5}}
""",
        )
    )
    assert loaded.models["big"].pin
    assert loaded.models["minilm"].keep_alive_s == -1
    assert loaded.models["minilm"].source == "all-MiniLM-L6-v2"
    assert loaded.roles["chat"] == ["big"]
    assert loaded.roles["embed"] == ["minilm"]
    assert loaded.backends["ollama"]["timeout_s"] == 5
    assert loaded.backends["ollama"]["prefer"]


@pytest.mark.parametrize(
    ("text", "line", "field", "message"),
    [
        ("models:\n  a: {task: chat, backend: olama}", 2, "models.a.backend", "mean 'ollama'"),
        ("models:\n  a:\n    task: chat\n    backend: openai\n    prioriti: 1", 5,
         "models.a.prioriti", "mean 'priority'"),
        ("models:\n  a: {task: sing, backend: openai}", 2, "models.a.task", "'chat'"),
        ("\nmodels:\n  minilm:\n    keep_alive_s: soon", 4, "models.minilm.keep_alive_s", "number"),
        ("models:\n  a: 5", 2, "models.a", "mapping"),
        ("models:\n  a/b: {task: chat, backend: openai}", 2, "models.a/b.name", "no '/'"),
        ("models:\n  events: {task: chat, backend: openai}", 2, "models.events", "can be called"),
        ("models: 5", 1, "models", "must hold names"),
        ("roles:\n  chat:\n    - ollama/*\n    - reeder", 4, "roles.chat.1", "mean 'reader'"),
        ("roles:\n  chat: []", 2, "roles.chat", "at least one"),
        ("roles:\n  minilm: [reader]", 2, "roles.minilm", "name of a model"),
        ("roles:\n  chat: [openay/x]", 2, "roles.chat.0", "mean 'openai'"),
        ("backends:\n  olama: {}", 2, "backends.olama", "mean 'ollama'"),
        ("rolls: {}", 1, "rolls", "mean 'roles'"),
        ("version: 2", 1, "version", "1"),
        ("models: {a: [}", 1, "", "not YAML"),
        ("- a", 1, "", "sections"),
    ],
)  # fmt: skip
def test_an_error_names_file_line_and_field(
    tmp_path: Path, text: str, line: int, field: str, message: str
) -> None:
    with pytest.raises(Invalid, match=r"models\.yaml") as caught:
        load_models(settings_with(tmp_path, text))
    details = caught.value.details
    assert details["file"] == str(tmp_path / "models.yaml")
    assert (details["line"], details.get("field", "")) == (line, field)
    assert message in caught.value.message


def test_a_file_that_is_no_text_or_missing_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Invalid, match="not UTF-8 text"):
        load_models(load_settings(home=tmp_path))
    with pytest.raises(Invalid, match="no such file"):
        load_models(load_settings(home=tmp_path, models=tmp_path / "other.yaml"))


ENVIRONMENTS = """
models:
  local: {task: chat, backend: ollama, source: qwen3:8b, priority: 2}
roles: {chat: [local, reader]}
environments:
  production:
    models:
      cloud: {task: chat, backend: openai, source: gpt-oss-120b}
      local: {keep_alive_s: -1}
    roles: {chat: [cloud, local]}
    memory_cap_bytes: {ram: 8000000000}
  bare: {}
"""


def test_an_environment_is_laid_over_the_rest_where_it_is_chosen(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(ENVIRONMENTS)
    plain = load_models(load_settings(home=tmp_path))
    assert plain.roles["chat"] == ["local", "reader"]
    assert "cloud" not in plain.models
    chosen = load_models(load_settings(home=tmp_path, environment="production"))
    assert chosen.roles["chat"] == ["cloud", "local"]
    assert chosen.roles["embed"] == plain.roles["embed"]
    assert (chosen.models["local"].keep_alive_s, chosen.models["local"].priority) == (-1, 2)
    assert chosen.memory_cap_bytes == {"ram": 8_000_000_000}
    assert load_models(load_settings(home=tmp_path, environment="bare")) == plain


def test_an_environment_that_no_file_has_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(ENVIRONMENTS)
    with pytest.raises(Invalid, match="Did you mean 'production'") as caught:
        load_models(load_settings(home=tmp_path, environment="prodution"))
    assert caught.value.details["field"] == "environment"


@pytest.mark.parametrize(
    ("text", "line", "field", "message"),
    [
        ("roles: {chat: [cloud]}", 3, "environments.p.roles.chat.0", "there is no model 'cloud'"),
        ("models: {minilm: {prioriti: 1}}", 3, "environments.p.models.minilm.prioriti",
         "mean 'priority'"),
        ("rols: {}", 3, "environments.p.rols", "mean 'roles'"),
        ("models: 5", 3, "environments.p.models", "must hold names"),
        ("environments: {}", 3, "environments.p.environments", "no such section"),
    ],
)  # fmt: skip
def test_a_mistake_in_an_environment_is_found_before_it_is_chosen(
    tmp_path: Path, text: str, line: int, field: str, message: str
) -> None:
    with pytest.raises(Invalid) as caught:
        load_models(settings_with(tmp_path, f"environments:\n  p:\n    {text}"))
    assert (caught.value.details["line"], caught.value.details["field"]) == (line, field)
    assert message in caught.value.message


def test_an_environment_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"environments\.p: must hold sections"):
        load_models(settings_with(tmp_path, "environments:\n  p: [chat]"))


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").mkdir()

    with pytest.raises(Invalid, match=r"models\.yaml: cannot be read"):
        load_models(load_settings(home=tmp_path))


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (
            "models:\n  a: {task: sing, backend: openai}\n  b: {task: chat, prioriti: 1}\n"
            "rolls: {}\n",
            [(2, "models.a.task"), (3, "models.b.backend"), (3, "models.b.prioriti"), (4, "rolls")],
        ),
        (
            "models:\n  a: {task: chat, backend: olama}\n  events: {task: chat, backend: openai}\n"
            "roles:\n  chat: [reeder]\n  embed: []\nbackends: {olama: {}}\n",
            [
                *((2, "models.a.backend"), (3, "models.events"), (5, "roles.chat.0")),
                *((6, "roles.embed"), (7, "backends.olama")),
            ],
        ),
        ("models: 5\nroles: 6\n", [(1, "models"), (2, "roles")]),
        ("models: {}\nmodels: {}\nroles: {a: !x 1}\n", [(2, "models"), (3, "roles.a")]),
        (
            "environments:\n  a: 5\n  b: {rolls: {}}\n",
            [(2, "environments.a"), (3, "environments.b.rolls")],
        ),
    ],
)  # fmt: skip
def test_all_that_is_wrong_is_told_at_once_with_its_lines(
    tmp_path: Path, text: str, faults: list[tuple[int, str]]
) -> None:
    with pytest.raises(Invalid, match=f"{len(faults)} problems in all") as caught:
        load_models(settings_with(tmp_path, text))

    problems = caught.value.details["problems"]
    assert [(each["line"], each["field"]) for each in problems] == faults
    assert all(each["message"] and "models.yaml" not in each["message"] for each in problems)
    assert caught.value.details["line"] == faults[0][0]
