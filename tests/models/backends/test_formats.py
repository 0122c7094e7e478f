"""A model of another kind is named as what it is, with the back end that takes it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from models.backends.common.formats import why_foreign
from tests.support.tiny.gguf_files import write_model
from tests.support.tiny.models import opened, spec

SMALL = Path(__file__).parents[3] / "models" / "small"


def gguf_file(folder: Path) -> Path:
    return write_model(folder / "model.gguf")


def gguf_folder(folder: Path) -> Path:
    """A folder as repositories of the Hub have them, with the original's config beside."""
    write_model(folder / "model.gguf")
    (folder / "config.json").write_text("{}")
    return folder


def ctranslate2_folder(folder: Path) -> Path:
    """A folder as faster-whisper's models have them."""
    for name in ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_text("{}")
    return folder


def safetensors_folder(folder: Path) -> Path:
    return SMALL / "storyteller"


def pipeline_folder(folder: Path) -> Path:
    return SMALL / "drawing"


KINDS: dict[Callable[[Path], Path], str] = {
    gguf_file: "llamacpp",
    gguf_folder: "llamacpp",
    ctranslate2_folder: "faster_whisper",
    safetensors_folder: "transformers",
    pipeline_folder: "diffusers",
}
TAKEN_BY = {
    "llamacpp": {"chat": {gguf_file}},
    "transformers": {"chat": {safetensors_folder}},
    "sentence_transformers": {"embed": {safetensors_folder}},
    "cross_encoder": {"rerank": {safetensors_folder}},
    "diffusers": {"image": {pipeline_folder}},
}


def test_what_is_not_known_is_not_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_text("weights of whatever kind")

    assert why_foreign(tmp_path, ()) is None
    assert why_foreign(tmp_path / "model.bin", ()) is None
    assert why_foreign(tmp_path / "absent", ()) is None


async def test_gguf_file_beside_safetensors_is_no_hindrance(tmp_path: Path) -> None:
    folder = tmp_path / "both"
    shutil.copytree(SMALL / "storyteller", folder)
    write_model(folder / "model.gguf")

    async with opened("transformers", tmp_path) as driver:
        assert await driver.available(spec("transformers", "chat", folder)) is None


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("backend", TAKEN_BY)
async def test_back_end_that_is_handed_another_kind_names_the_one_that_takes_it(
    backend: str, make: Callable[[Path], Path], tmp_path: Path
) -> None:
    ((task, taken),) = TAKEN_BY[backend].items()
    source = make(tmp_path)

    async with opened(backend, tmp_path) as driver:
        model = spec(backend, task, source)
        model = model.model_copy(update={"options": {}})
        problem = await driver.available(model)

    if make in taken:
        assert problem is None
    elif backend != KINDS[make]:
        assert f"for the back end `{KINDS[make]}`" in (problem or "")
