"""What drivers do alike: libraries and files are sought beside the event loop, found ones once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest

from config.errors import Invalid
from config.settings import load_settings
from models.backends.common.base_driver import BaseDriver
from models.catalog.spec import ModelSpec
from models.driver import DriverContext, ModelSource

PRESENT, ABSENT = "present_library", "absent_library"
SPEC = ModelSpec(name="model", task="chat", backend="reader")


class Needing(BaseDriver):
    backend = "reader"
    packages = (PRESENT, ABSENT)

    def find_problem(self, spec: ModelSpec) -> str | None:
        return None


class Searches:
    """A finder that is asked for every module, and finds none."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.threads: set[threading.Thread] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name in (PRESENT, ABSENT):
            self.names.append(name)
            self.threads.add(threading.current_thread())
        return None


@pytest.fixture
def searches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Searches:
    (tmp_path / f"{PRESENT}.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    searches = Searches()
    monkeypatch.setattr(sys, "meta_path", [searches, *sys.meta_path])
    return searches


class LookingAtFiles(BaseDriver):
    backend = "reader"
    looks_at_files = True

    def find_problem(self, spec: ModelSpec) -> str | None:
        if threading.current_thread() is threading.main_thread():
            return "looked at on the event loop"
        raise Invalid("there is no such folder")


async def test_files_of_a_model_are_looked_at_beside_the_event_loop(tmp_path: Path) -> None:
    context = DriverContext(load_settings(home=tmp_path), {}, cast(ModelSource, None))

    assert await LookingAtFiles(context).available(SPEC) == "there is no such folder"


async def test_library_that_was_found_is_not_sought_again(
    tmp_path: Path, searches: Searches
) -> None:
    driver = Needing(DriverContext(load_settings(home=tmp_path), {}, cast(ModelSource, None)))

    for _ in range(3):
        assert ABSENT in (await driver.available(SPEC) or "")

    assert searches.names.count(PRESENT) == 1
    assert threading.main_thread() not in searches.threads


async def test_library_that_is_installed_meanwhile_is_found(
    tmp_path: Path, searches: Searches, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Needing(DriverContext(load_settings(home=tmp_path), {}, cast(ModelSource, None)))
    assert ABSENT in (await driver.available(SPEC) or "")

    installed = tmp_path / "installed"
    installed.mkdir()
    (installed / f"{ABSENT}.py").touch()
    monkeypatch.syspath_prepend(installed)

    assert await driver.available(SPEC) is None
