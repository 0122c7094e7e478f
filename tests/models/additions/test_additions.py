"""Models added by one command: looked up, declared, pulled, removed; against doubles."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from config.errors import Conflict, Invalid, MotetError, NotFound, Unavailable
from config.settings import Settings, load_settings
from models.additions.additions import Addition, AdditionRequest, Additions
from models.backends.llamacpp.pulled_files import find_files
from models.catalog.watch import ModelsWatch
from models.devices import DeviceMemory
from models.manager import Models, open_models
from tests.support.hub import Hub
from tests.support.ollama import Ollama
from tests.support.registry import Registry
from tests.support.script import Gate

BOUND_S = 120
MIB = 2**20
WEIGHTS = b"GGUF" + os.urandom(MIB)
OWN = "# mine\nversion: 1\nmodels:\n  a: {task: chat, backend: reader}  # as it comes\n"


class SmallMachine:
    """A machine of 16 MiB."""

    accelerators = ()

    def read(self) -> dict[str, DeviceMemory]:
        return {"ram": DeviceMemory(16 * MIB, 16 * MIB)}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub(repository="maker/tiny-GGUF", files={"tiny-Q4_K_M.gguf": WEIGHTS})
    hub.start()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield hub
    hub.stop()


@pytest.fixture
def registry() -> Iterator[Registry]:
    registry = Registry()
    registry.offer("library/tiny:1b", model=WEIGHTS, params=b'{"temperature": 0.5}')
    registry.start()
    yield registry
    registry.stop()


@pytest.fixture
def settings(tmp_path: Path, ollama: Ollama) -> Settings:
    settings = load_settings(home=tmp_path / "home", ollama_url=ollama.url)
    settings.home.mkdir()
    settings.models_file.write_text(OWN)
    return settings


@pytest.fixture
async def models(settings: Settings) -> AsyncIterator[Models]:
    async with open_models(settings, devices=SmallMachine()) as models:
        yield models


@pytest.fixture
def additions(settings: Settings, models: Models) -> Additions:
    watch = ModelsWatch(settings, models.file, models.replace_file)
    return Additions(settings, models, watch)


async def add(additions: Additions, model: str, **more: object) -> Addition:
    request = AdditionRequest(model, **more)  # type: ignore[arg-type]
    async with asyncio.timeout(BOUND_S):
        return await additions.add(request, is_owner=True)


async def wait_pulled(models: Models, name: str) -> dict[str, object]:
    async with asyncio.timeout(BOUND_S):
        return [job async for job in models.pulls.watch(name)][-1]


async def refused(
    additions: Additions, model: str, settings: Settings, **more: object
) -> MotetError:
    """The error of an addition, which must leave models.yaml as it was."""
    before = settings.models_file.read_text()
    with pytest.raises(MotetError) as caught:
        await add(additions, model, **more)
    assert settings.models_file.read_text() == before
    return caught.value


async def test_file_is_declared_where_it_lies(
    additions: Additions, models: Models, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "Tiny-Instruct.gguf"
    file.write_bytes(WEIGHTS)

    added = await add(additions, str(file))

    assert (added.candidate.name, added.job) == ("tiny", None)
    spec = models.file.models["tiny"]
    assert (spec.task, spec.backend, spec.source) == ("chat", "llamacpp", str(file))
    assert settings.models_file.read_text().startswith(OWN)


async def test_model_of_the_hub_is_pulled_by_its_file_and_asked_for_by_its_role(
    hub: Hub, additions: Additions, models: Models, settings: Settings
) -> None:
    added = await add(additions, "hf.co/maker/tiny-GGUF")
    assert added.job
    assert (added.candidate.download_bytes, added.role) == (len(WEIGHTS), "chat")

    assert (await wait_pulled(models, "tiny"))["state"] == "done"

    source = models.file.models["tiny"].source
    assert source == "hf.co/maker/tiny-GGUF/tiny-Q4_K_M.gguf"
    assert find_files(source, settings.home)
    assert models.file.roles["chat"][0] in ("tiny", "llamacpp/*")


async def test_tag_of_a_registry_brings_its_parameters(
    registry: Registry, additions: Additions, models: Models, settings: Settings
) -> None:
    await add(additions, f"{registry.url}/library/tiny:1b")

    assert (await wait_pulled(models, "tiny-1b"))["state"] == "done"
    spec = models.file.models["tiny-1b"]
    assert spec.options == {"temperature": 0.5}
    assert find_files(spec.source, settings.home)


async def test_model_of_a_running_ollama_is_pulled_by_it(
    ollama: Ollama, additions: Additions, models: Models
) -> None:
    ollama.offer("qwen3:8b", "Yes.", size_bytes=1000)

    added = await add(additions, "ollama/qwen3:8b")

    assert added.candidate.name == "qwen3-8b"
    assert (await wait_pulled(models, "qwen3-8b"))["state"] == "done"
    assert (await models.resolve("chat", "chat")).model.name == "qwen3-8b"


async def test_pull_that_was_stopped_goes_on_when_the_model_is_added_again(
    hub: Hub, additions: Additions, models: Models, settings: Settings
) -> None:
    gate = hub.gates["tiny-Q4_K_M.gguf"] = Gate()
    await add(additions, "maker/tiny-GGUF")
    await gate.reached.wait(BOUND_S)
    await models.pulls.cancel("tiny")
    declared = settings.models_file.read_text()

    await add(additions, "maker/tiny-GGUF")

    assert (await wait_pulled(models, "tiny"))["state"] == "done"
    assert settings.models_file.read_text() == declared


async def test_second_model_is_put_before_the_first_in_its_role(
    additions: Additions, models: Models, tmp_path: Path, hub: Hub
) -> None:
    hub.files["tiny-Q8_0.gguf"] = WEIGHTS[: MIB // 2]
    await add(additions, "hf.co/maker/tiny-GGUF:Q4_K_M", name="first")

    await add(additions, "hf.co/maker/tiny-GGUF:Q8_0", name="second")

    chat = models.file.roles["chat"]
    assert chat[0] == "second"
    assert chat[-1] == "reader"


async def test_model_without_gguf_files_is_added_for_the_back_end_that_runs_it(
    hub: Hub, additions: Additions, models: Models
) -> None:
    config = json.dumps({"architectures": ["WhisperForConditionalGeneration"]})
    hub.files = {"config.json": config.encode(), "model.safetensors": WEIGHTS}

    await add(additions, "maker/tiny-GGUF", name="ears")

    assert (await wait_pulled(models, "ears"))["state"] == "done"
    spec = models.file.models["ears"]
    assert (spec.backend, spec.task, spec.source) == (
        "transformers", "transcribe", "maker/tiny-GGUF",
    )  # fmt: skip


async def test_folder_is_told_by_its_files(
    additions: Additions, models: Models, tmp_path: Path
) -> None:
    folder = tmp_path / "pipeline"
    folder.mkdir()
    (folder / "model_index.json").write_text('{"unet": ["diffusers", "UNet2DConditionModel"]}')

    added = await add(additions, str(folder))

    spec = models.file.models["pipeline"]
    assert (spec.backend, spec.task) == ("diffusers", "image")
    assert added.problem  # it has no weights
    assert models.file.roles["image"][0] != "pipeline"


async def test_projector_is_an_option_of_its_model(
    additions: Additions, models: Models, settings: Settings, tmp_path: Path
) -> None:
    for name in ("eyes.gguf", "mmproj.gguf"):
        (tmp_path / name).write_bytes(WEIGHTS)
    projector = tmp_path / "mmproj.gguf"

    await add(additions, str(tmp_path / "eyes.gguf"), projector=projector, task="caption")

    spec = models.file.models["eyes"]
    assert (spec.task, spec.options) == ("caption", {"projector": str(projector)})


async def test_model_that_no_device_can_hold_is_refused_with_the_numbers(
    hub: Hub, additions: Additions, settings: Settings
) -> None:
    hub.files["tiny-Q4_K_M.gguf"] = WEIGHTS * 20

    error = await refused(additions, "maker/tiny-GGUF", settings)

    assert error.code == "insufficient_memory"
    assert error.details["needed_bytes"] == len(WEIGHTS) * 20
    assert hub.ranges == []


async def test_name_that_has_another_source_is_taken(
    hub: Hub, additions: Additions, settings: Settings
) -> None:
    error = await refused(additions, "maker/tiny-GGUF", settings, name="a")

    assert isinstance(error, Conflict)
    assert error.code == "model_exists"


async def test_unknown_name_proposes_the_nearest_and_the_forms(
    additions: Additions, settings: Settings
) -> None:
    error = await refused(additions, "qwen3-4", settings)

    assert isinstance(error, NotFound)
    assert ("qwen3-4b" in error.message, "hf.co/" in error.message) == (True, True)


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("maker/none", "model_missing"),
        ("hf.co/maker/tiny-GGUF:Q2_K", "model_not_found"),
        ("hf.co/maker/tiny-GGUF/other.gguf", "model_not_found"),
        ("hf.co/maker", "invalid_model_source"),
        ("/nowhere/x.gguf", "invalid_model_source"),
        ("ollama/127.0.0.1:1/a/b", "not_pullable"),
    ],
)
async def test_what_is_not_there_is_not_declared(
    hub: Hub, additions: Additions, settings: Settings, model: str, code: str
) -> None:
    assert (await refused(additions, model, settings)).code == code


async def test_only_the_owner_has_any_registry_asked(
    registry: Registry, additions: Additions, settings: Settings
) -> None:
    with pytest.raises(Invalid) as caught:
        await additions.add(AdditionRequest(f"{registry.url}/library/tiny:1b"), is_owner=False)

    assert caught.value.code == "not_pullable"
    assert settings.models_file.read_text() == OWN


async def test_broken_models_yaml_is_told_and_left_alone(
    additions: Additions, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "tiny.gguf").write_bytes(WEIGHTS)
    settings.models_file.write_text("models: {a: {task: sing, backend: reader}}\n")
    await additions._watch.refresh()

    error = await refused(additions, str(tmp_path / "tiny.gguf"), settings)

    assert error.code == "invalid_models_file"


async def test_link_and_mode_of_models_yaml_stay(
    additions: Additions, settings: Settings, tmp_path: Path
) -> None:
    target = tmp_path / "shared.yaml"
    settings.models_file.rename(target)
    target.chmod(0o640)
    settings.models_file.symlink_to(target)
    (tmp_path / "tiny.gguf").write_bytes(WEIGHTS)

    await add(additions, str(tmp_path / "tiny.gguf"))

    assert settings.models_file.is_symlink()
    assert (target.stat().st_mode & 0o777, "tiny" in target.read_text()) == (0o640, True)


async def test_lists_of_an_environment_stay_as_they_are(settings: Settings, tmp_path: Path) -> None:
    environment = "environments: {production: {roles: {chat: [a]}}}\n"
    settings.models_file.write_text(OWN + environment)
    (tmp_path / "tiny.gguf").write_bytes(WEIGHTS)
    chosen = load_settings(home=settings.home, environment="production")
    async with open_models(chosen, devices=SmallMachine()) as models:
        watch = ModelsWatch(chosen, models.file, models.replace_file)

        added = await add(Additions(chosen, models, watch), str(tmp_path / "tiny.gguf"))

        assert added.role is None
        assert models.file.roles["chat"] == ["a"]
        assert "tiny" in models.file.models
    assert environment.strip() in settings.models_file.read_text()


async def test_removed_model_is_gone_with_its_files(
    registry: Registry, additions: Additions, models: Models, settings: Settings
) -> None:
    await add(additions, f"{registry.url}/library/tiny:1b")
    await wait_pulled(models, "tiny-1b")
    source = models.file.models["tiny-1b"].source

    freed_bytes = await additions.remove("tiny-1b")

    assert freed_bytes == len(WEIGHTS)
    assert "tiny-1b" not in models.file.models
    assert "tiny-1b" not in models.file.roles["chat"]
    assert find_files(source, settings.home) is None
    assert list((settings.home / "models" / "blobs").iterdir()) == []


async def test_removed_model_of_the_hub_leaves_others_of_its_repository(
    hub: Hub, additions: Additions, models: Models, settings: Settings
) -> None:
    hub.files["tiny-Q8_0.gguf"] = WEIGHTS[: MIB // 2]
    for name, quantisation in (("small", "Q4_K_M"), ("large", "Q8_0")):
        await add(additions, f"hf.co/maker/tiny-GGUF:{quantisation}", name=name)
        await wait_pulled(models, name)
    sources = {name: models.file.models[name].source for name in ("small", "large")}

    assert await additions.remove("small") == len(WEIGHTS)

    assert find_files(sources["small"], settings.home) is None
    assert find_files(sources["large"], settings.home)


async def test_file_that_its_user_put_there_outlives_its_entry(
    additions: Additions, tmp_path: Path
) -> None:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(WEIGHTS)
    await add(additions, str(file))

    assert await additions.remove("tiny") == 0
    assert file.read_bytes() == WEIGHTS


async def test_what_comes_with_motet_is_not_removed(additions: Additions) -> None:
    with pytest.raises(Conflict) as caught:
        await additions.remove("minilm")
    assert caught.value.code == "model_read_only"
    with pytest.raises(NotFound, match="Did you mean 'minilm'"):
        await additions.remove("minilmm")


async def test_missing_is_what_roles_name_and_is_not_here_with_its_size(
    hub: Hub, additions: Additions, models: Models, settings: Settings
) -> None:
    entries = (
        "  tiny: {task: chat, backend: llamacpp, source: hf.co/maker/tiny-GGUF}\n"
        "  ears: {task: transcribe, backend: transformers, source: openai/whisper-large-v3-turbo}\n"
        "  idle: {task: rerank, backend: cross_encoder, source: maker/unused}\n"
    )
    settings.models_file.write_text(OWN + entries + "roles: {chat: [tiny, reader]}\n")
    await additions._watch.refresh()

    missing = {each.name: each for each in await additions.list_missing()}

    assert set(missing) == {"tiny", "ears"}
    assert missing["tiny"].download_bytes == len(WEIGHTS)
    assert missing["ears"].download_bytes == 1_620_000_000
    models.pulls.start("tiny")
    await wait_pulled(models, "tiny")
    assert [each.name for each in await additions.list_missing()] == ["ears"]


async def test_hub_that_does_not_answer_is_told_before_anything_is_declared(
    hub: Hub, additions: Additions, settings: Settings
) -> None:
    hub.stop()

    error = await refused(additions, "maker/tiny-GGUF", settings)

    assert isinstance(error, Unavailable)
    assert error.code == "hub_unreachable"
