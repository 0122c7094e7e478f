"""Whisper by CTranslate2 in its worker; its weights are random, so what it hears means nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from config.errors import Invalid, Unavailable
from models.capabilities import Transcribe, TranscribeRequest
from models.catalog.spec import ModelSpec
from models.driver import Driver
from tests.models.backends.contracts.transcribe import TranscribeContract, said, sound
from tests.support.tiny.models import ROOT, TINY, loaded, opened


def spec(folder: Path | str, **options: object) -> ModelSpec:
    fields = {"name": "ears", "task": "transcribe", "backend": "faster_whisper"}
    return ModelSpec.model_validate({**fields, "source": str(folder), "options": options})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hearing") / "tiny"
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    program = TINY / "make_ctranslate2.py"
    subprocess.run(
        [sys.executable, "-P", program, folder], check=True, capture_output=True, env=env
    )
    return folder


@pytest.fixture(scope="module")
async def driver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Driver]:
    async with opened("faster_whisper", tmp_path_factory.mktemp("home")) as driver:
        yield driver


@pytest.fixture(scope="module")
async def hearer(driver: Driver, folder: Path) -> AsyncIterator[Transcribe]:
    options = {"threads": 1, "beam_size": 1, "skip_silence": False, "compute_type": "float32"}
    async with loaded(driver, spec(folder, **options)) as model:
        yield cast(Transcribe, model.capability)


class TestFasterWhisper(TranscribeContract):
    @pytest.fixture
    def listener(self, hearer: Transcribe) -> Transcribe:
        return hearer

    async def test_model_with_a_small_vocabulary_understands_english_alone(
        self, listener: Transcribe
    ) -> None:
        assert await said(listener, TranscribeRequest(sound(2), language="en-US"))
        for request in (
            TranscribeRequest(sound(1), language="de"),
            TranscribeRequest(sound(1), translate=True),
        ):
            with pytest.raises(Invalid, match="English alone"):
                await said(listener, request)


async def test_silence_is_left_out_where_that_is_asked_for(driver: Driver, folder: Path) -> None:
    async with loaded(driver, spec(folder, threads=1, beam_size=1)) as model:
        listener = cast(Transcribe, model.capability)

        assert await said(listener, TranscribeRequest(sound(2, loud=300))) == []


async def test_folder_of_another_kind_is_named_as_what_it_is(
    driver: Driver, tmp_path: Path
) -> None:
    assert "lacks model.bin" in (await driver.available(spec(tmp_path)) or "")
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    assert "`transformers`" in (await driver.available(spec(tmp_path)) or "")
    assert "motet models pull ears" in (await driver.available(spec("maker/none")) or "")


async def test_damaged_weights_are_unreadable(driver: Driver, folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.bin").write_bytes(b"no weights")

    with pytest.raises(Unavailable) as caught:
        async with loaded(driver, spec(tmp_path)):
            pass

    assert caught.value.code == "model_unreadable"


async def test_model_takes_the_cpu_where_no_gpu_is_asked_for(driver: Driver, folder: Path) -> None:
    (need,) = driver.estimate(spec(folder))

    assert (need.device, list(need.memory)) == ("cpu", ["ram"])
    assert need.memory["ram"] > (folder / "model.bin").stat().st_size
