"""What a name to be pulled stands for, and which registries it may lead to."""

from __future__ import annotations

import pytest

from config.errors import Invalid
from models.catalog.spec import ModelSpec
from models.pulls.targets import check_registry, target_of

DECLARED = {
    "ours": ModelSpec(name="ours", task="chat", backend="ollama", source="reg.corp:5000/a/b:1")
}


@pytest.mark.parametrize(
    "source", ["qwen3:4b", "owner/model:tag", "hf.co/owner/model:Q4", "https://ollama.com/a/b"]
)
def test_model_of_a_public_registry_is_pulled(source: str) -> None:
    assert target_of(f"ollama/{source}", None, {}) == ("ollama", source)
    assert target_of(source, "ollama", {}) == ("ollama", source)


@pytest.mark.parametrize(
    "source",
    [
        "127.0.0.1:1/library/x",
        "http://127.0.0.1:1/library/x",
        "http://127.0.0.1:1",
        "http://hf.co@127.0.0.1:1/a/b",
        "hf.co:8080/a/b",
        "reg.corp:5000/a/b:1",
        "10.0.0.1/a/b/c",
        "../../x",
    ],
)
@pytest.mark.parametrize("backend", [None, "ollama"])
def test_ollama_is_sent_to_no_host_that_nobody_declared(source: str, backend: str | None) -> None:
    name = source if backend else f"ollama/{source}"

    with pytest.raises(Invalid, match="Declare the model") as caught:
        target_of(name, backend, {})

    assert caught.value.code == "not_pullable"


@pytest.mark.parametrize("name", ["ours", "ollama/reg.corp:5000/a/b:1"])
def test_declared_registry_is_asked(name: str) -> None:
    assert target_of(name, None, DECLARED) == ("ollama", "reg.corp:5000/a/b:1")


@pytest.mark.parametrize("source", ["hf.co/owner/model:Q4", "ollama.com/qwen2.5:0.5b"])
def test_gguf_model_of_a_public_registry_is_pulled(source: str) -> None:
    check_registry(source, "llamacpp")


@pytest.mark.parametrize(
    "source", ["127.0.0.1:1/x", "http://127.0.0.1:1/library/x", "reg.corp/a/b:1", "localhost/x"]
)
def test_gguf_model_of_another_registry_is_pulled_once_it_is_declared(source: str) -> None:
    with pytest.raises(Invalid, match="Declare the model") as caught:
        check_registry(source, "llamacpp")

    assert caught.value.code == "not_pullable"
    declared = ModelSpec(name="ours", task="chat", backend="llamacpp", source=source)
    assert target_of("ours", None, {"ours": declared}) == ("llamacpp", source)
