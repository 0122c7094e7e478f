"""Changes of models.yaml keep what its author wrote."""

from __future__ import annotations

import pytest

from config.errors import Conflict
from config.yaml_reader import read_yaml
from models.catalog.editing import add_model, remove_model, set_role

ENTRY = {"task": "chat", "backend": "llamacpp", "source": "/m.gguf", "options": {"stop": ["</s>"]}}
OWN = """\
# my models
version: 1   # of the format

roles:
  # the best first
  chat: [a, "ollama/*", reader]   # and no other
  vision:
    - describer   # tells colours
    - ollama/*
models:
  a:            # mine
    task: chat
    backend: openai
    source: 'x'
    options: {base_url: "http://x/v1", temperature: 0.5}

environments:
  production:
    roles:
      chat: [a]
# the end
"""


def values(text: str) -> dict[str, object]:
    document = read_yaml(text)
    assert not document.faults
    value: dict[str, object] = document.value
    return value


def test_added_model_is_the_last_and_all_else_stays_with_its_comments() -> None:
    changed = add_model(OWN, "new", ENTRY)

    added = values(changed)["models"]
    assert isinstance(added, dict)
    assert (list(added), added["new"]) == (["a", "new"], ENTRY)
    assert remaining_lines(OWN, changed) == []
    comments = ("# my models", "# the best first", "# tells colours", "# mine", "# the end")
    assert all(comment in changed for comment in comments)


def remaining_lines(before: str, after: str) -> list[str]:
    """The lines of a text that another lacks, blanks apart."""
    known = {" ".join(line.split()) for line in after.splitlines()}
    return [line for line in before.splitlines() if " ".join(line.split()) not in known]


def test_role_gets_its_new_list_and_keeps_its_comment() -> None:
    changed = set_role(OWN, "chat", ["new", "a"])

    assert values(changed)["roles"] == {"chat": ["new", "a"], "vision": ["describer", "ollama/*"]}
    assert "chat: [new, a]" in changed
    assert "# and no other" in changed


def test_removed_model_is_gone_from_its_roles_too() -> None:
    changed = remove_model(add_model(OWN, "new", ENTRY), "new")
    assert values(changed) == values(OWN)

    without = values(remove_model(set_role(OWN, "chat", ["a"]), "a"))

    assert without["models"] == {}
    assert without["roles"] == {"vision": ["describer", "ollama/*"]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only\n# comments\n",
        "version: 1\n",
        "models:\n",
        "models: {}\nversion: 1\n",
        "{version: 1, models: {a: {task: chat, backend: reader}}}\n",
        "---\nversion: 1\nmodels:\n  a: &x {task: chat, backend: reader}\n  b: *x\n  c:\n"
        "    <<: *x\n    source: yes\n",
        "x-note: keep me\nversion: 1\n",
        "version: 1\nmodels:\n    a:\n        task: chat\n        backend: reader\n",
        "version: 1\r\nmodels:\r\n  a: {task: chat, backend: reader}\r\n",
    ],
)
def test_model_is_added_to_a_file_of_any_form(text: str) -> None:
    before = values(text) if text.strip(" \n#onlycmets") else {"version": 1}

    after = values(add_model(text, "new", ENTRY))

    models = before.get("models") or {}
    assert isinstance(models, dict)
    assert after == {**before, "models": {**models, "new": ENTRY}}


def test_comments_of_a_file_without_values_stay() -> None:
    assert add_model("# only\n", "new", ENTRY).startswith("# only\nversion: 1\n")


@pytest.mark.parametrize("text", ["a: [", "- a\n", "models: 3\n", "models: [a]\n", "a: 1\na: 2\n"])
def test_file_that_is_not_understood_is_left_to_its_author(text: str) -> None:
    with pytest.raises(Conflict) as caught:
        add_model(text, "new", ENTRY)

    assert caught.value.code == "models_file_not_editable"


@pytest.mark.parametrize("text", ["", OWN, "models: {}\n"])
def test_model_of_another_file_is_not_removed(text: str) -> None:
    with pytest.raises(Conflict) as caught:
        remove_model(text, "reader")

    assert caught.value.code == "model_read_only"
