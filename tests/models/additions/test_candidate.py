from __future__ import annotations

import pytest

from config.errors import Invalid, Unavailable
from models.additions.candidate import Candidate, check_name, guess_task, name_after
from models.additions.memory_check import check_memory
from models.additions.roles import plan_role
from models.additions.tags import read_parameters
from models.catalog.file import ModelsFile
from models.catalog.spec import ModelSpec, Task
from models.scheduling.ledger import DeviceBalance

GB = 10**9


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Qwen2.5-0.5B-Instruct-GGUF", "qwen2.5-0.5b"),
        ("qwen2.5-0.5b-instruct-q4_k_m.gguf", "qwen2.5-0.5b"),
        ("Qwen3-1.7B-Q8_0.gguf", "qwen3-1.7b"),
        ("a-IQ4_XS.gguf", "a"),
        ("gemma-3-1b-it-GGUF", "gemma-3-1b"),
        ("my model (1).gguf", "my-model-1"),
        ("qwen2.5-0.5b", "qwen2.5-0.5b"),
        ("日本語", "model"),
    ],
)
def test_name_is_derived_from_that_of_a_file_or_repository(text: str, name: str) -> None:
    assert name_after(text) == name
    check_name(name_after(text))


def test_task_of_a_gguf_model_is_guessed_by_its_name() -> None:
    assert guess_task("Qwen/Qwen3-Embedding-0.6B-GGUF") == "embed"
    assert guess_task("library/nomic-embed-text") == "embed"
    assert guess_task("Qwen/Qwen3-4B-GGUF") == "chat"


@pytest.mark.parametrize("name", ["", "A", "a/b", "a b", "-a", "profile", "missing", "x" * 65])
def test_name_that_models_yaml_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_name(name)

    assert caught.value.code == "invalid_model_name"


def balance(device: str, cap_gb: int) -> DeviceBalance:
    return DeviceBalance(device, 2 * cap_gb * GB, cap_gb * GB, cap_gb * GB, 0, cap_gb * GB)


def test_model_that_no_device_can_hold_is_refused_with_the_numbers() -> None:
    large = Candidate("large", "chat", "llamacpp", "/x", memory_bytes=9 * GB)

    with pytest.raises(Unavailable, match=r"9\.0 GB.*8\.0 GB of cuda:0.*16\.0 GB") as caught:
        check_memory(large, [balance("ram", 4), balance("cuda:0", 8)])

    assert caught.value.permanent
    assert caught.value.details["needed_bytes"] == 9 * GB
    check_memory(large, [balance("ram", 10), balance("cuda:0", 8)])


def file_of(role: list[str], **models: str) -> ModelsFile:
    specs = {name: spec(name, backend) for name, backend in models.items()}
    return ModelsFile(models=specs, roles={"chat": role})


def spec(name: str, backend: str = "openai", task: Task = "chat") -> ModelSpec:
    return ModelSpec(name=name, task=task, backend=backend)


def test_role_that_takes_the_model_first_anyway_stays_as_it_is() -> None:
    plan = plan_role(file_of(["openai/*", "reader"], new="openai"), spec("new"))

    assert (plan.role, plan.names, plan.preferred) == ("chat", None, True)


def test_role_that_takes_another_first_gets_the_model_before_it() -> None:
    file = file_of(["openai/*", "reader"], old="openai", new="openai")

    assert plan_role(file, spec("new")).names == ["new", "openai/*", "reader"]
    again = file_of(["old", "new", "reader"], old="openai", new="openai")
    assert plan_role(again, spec("new")).names == ["new", "old", "reader"]


def test_embedder_is_added_without_changing_what_indexes_embed_with() -> None:
    file = ModelsFile(models={"new": spec("new", task="embed")}, roles={"embed": ["minilm"]})

    plan = plan_role(file, spec("new", task="embed"))

    assert (plan.names, plan.preferred) == (None, False)


def test_parameters_of_a_tag_become_options_where_there_is_one() -> None:
    text = '{"temperature": 0.7, "stop": ["<|im_end|>"], "num_ctx": 4096, "top_k": true}'

    assert read_parameters(text) == {"temperature": 0.7, "stop": ["<|im_end|>"]}
    assert read_parameters("no json") == read_parameters("[]") == read_parameters("") == {}
    assert read_parameters('{"stop": [1], "temperature": "hot"}') == {}
