"""Names that are not declared stand for published models, never for folders of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import Invalid, NotFound, Unavailable
from config.settings import load_settings
from models.backends.common.sources import folder_of, is_hub_name
from models.manager import open_models
from tests.support.manager import TenByteMachine
from tests.support.tenants import TENANT

BACKENDS = [("transformers", "chat"), ("diffusers", "image"), ("coqui", "speech")]
BACKENDS += [("sentence_transformers", "embed"), ("cross_encoder", "rerank")]
FOLDERS = ["{there}", "{absent}", ".", "..", "./there", "../there", "~", "~root/x", "a/../b"]
FOLDERS += [
    "models/small/captioner",
    "tts_models/../../there/x",
    "tts_models/{there}",
    "a/b/c",
    "a//b",
]
FOLDERS += ["a/" + "b" * 5000, "a\x00b", "/", "C:\\models"]


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is there, also below the folder in which the service was started."""
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize(("backend", "task"), BACKENDS)
async def test_folders_that_nobody_declared_are_no_models_and_nobody_learns_of_them(
    there: Path, tmp_path: Path, backend: str, task: str
) -> None:
    async with open_models(load_settings(home=tmp_path), devices=TenByteMachine()) as models:
        errors = set()
        for source in FOLDERS:
            name = f"{backend}/{source.format(there=there, absent=tmp_path / 'absent')}"
            with pytest.raises(NotFound) as caught:
                async with models.lease(name, task, tenant=TENANT):  # type: ignore[arg-type]
                    pass
            message = caught.value.message.replace(name[:80], "NAME")
            errors.add((caught.value.code, message))
            with pytest.raises(NotFound):
                await models.load(name, tenant=TENANT)
            with pytest.raises(NotFound):
                await models.estimate(name)

    assert {code for code, _ in errors} == {"model_not_found"}
    assert len({message for _, message in errors}) == 1, "answers differ by what is on the disk"


async def test_name_of_the_hub_is_no_folder_of_where_the_service_was_started(
    there: Path, tmp_path: Path
) -> None:
    (tmp_path / "maker" / "model").mkdir(parents=True)
    (tmp_path / "maker" / "model" / "config.json").write_text("{}")

    assert folder_of("maker/model") is None
    assert folder_of("there") is None
    assert folder_of("./there") == Path("./there")


async def test_declared_folder_is_a_model(there: Path, tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(
        f"models:\n  mine: {{task: chat, backend: transformers, source: {there}}}\n"
    )
    async with open_models(load_settings(home=tmp_path), devices=TenByteMachine()) as models:
        resolved = await models.resolve("mine", "chat")
        assert resolved.model.source == str(there)
        assert "lacks" in str(await models.unavailable_reason("mine", "chat"))


@pytest.mark.parametrize("source", ["maker/model", "model", "Maker-1/model_2.5"])
async def test_published_names_can_be_asked_for(tmp_path: Path, source: str) -> None:
    assert is_hub_name(source)
    async with open_models(load_settings(home=tmp_path), devices=TenByteMachine()) as models:
        with pytest.raises((Unavailable, Invalid)) as caught:
            await models.load(f"transformers/{source}", task="chat", tenant=TENANT)
    assert caught.value.code in ("model_missing", "library_missing", "insufficient_memory")
