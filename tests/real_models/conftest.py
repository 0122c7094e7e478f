"""Where the files of real models are, and what is said where they are not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from tests.real_models.catalog import QWEN_SMALL, SMALLEST, VARIABLE, ModelFile

FindModel = Callable[[ModelFile], Path]


@pytest.fixture(scope="session")
def find_model() -> FindModel:
    """Finds the file of a model; skips the test where it is not on this machine."""

    def find(model: ModelFile) -> Path:
        folder = os.environ.get(VARIABLE, "")
        file = model.in_folder(Path(folder).expanduser().absolute())
        if not folder or not file.is_file():
            where = f"{file} is not there" if folder else f"{VARIABLE} names no folder"
            pytest.skip(f"no {model.name}: {where}; `make test-models MODELS={model.name}` gets it")
        return file

    return find


@pytest.fixture(scope="module", params=[SMALLEST, QWEN_SMALL], ids=lambda each: each.name)
def model(request: pytest.FixtureRequest) -> ModelFile:
    """The language models that a module's tests are tried with, one after the other."""
    return cast(ModelFile, request.param)
