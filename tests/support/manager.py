"""The model manager over fake drivers, on a machine of ten bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from config.settings import load_settings
from models.devices import DeviceMemory
from models.manager import Models, open_models
from tests.support.models import FakeDrivers

FILE = """
roles:
  chat: [ollama/*, openai/*, first, second]
  other: [first]
models:
  first: {task: chat, backend: reader, memory_bytes: 6}
  second: {task: chat, backend: reader, memory_bytes: 6}
  huge: {task: chat, backend: reader, memory_bytes: 60}
  brief: {task: chat, backend: reader, memory_bytes: 1, keep_alive_s: 0.0002}
  vectors: {task: embed, backend: minilm, memory_bytes: 2, keep_alive_s: 0}
memory_cap_bytes: {ram: 10}
"""


class TenByteMachine:
    accelerators = ()

    def read(self) -> dict[str, DeviceMemory]:
        return {"ram": DeviceMemory(10, 10)}


class Scene:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.fakes = FakeDrivers()

    @asynccontextmanager
    async def models(self) -> AsyncIterator[Models]:
        (self.home / "models.yaml").write_text(FILE)
        settings = load_settings(home=self.home)
        async with open_models(settings, devices=TenByteMachine(), build=self.fakes) as models:
            for backend in ("ollama", "openai", "reader", "minilm"):
                models._drivers.get(backend)
            yield models
        for driver in self.fakes.drivers.values():
            assert driver.closed
