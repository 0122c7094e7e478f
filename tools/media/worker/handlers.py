"""What runs in the processes. Each imports its own library alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from models.workers.host import Answer, TaskHandle
from models.workers.limits import limit_memory


class _Files:
    """Hands a file to the function of the method. Options: `memory_bytes`, the most it may take."""

    def __init__(self, options: dict[str, Any]) -> None:
        limit_memory(options["memory_bytes"])
        self._functions = self._imported()

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        return self._functions[method](body, **header)

    def _imported(self) -> Mapping[str, Callable[..., Answer]]:
        raise NotImplementedError


class Pictures(_Files):
    """Methods `prepare` and `mask`."""

    def _imported(self) -> Mapping[str, Callable[..., Answer]]:
        from tools.media.worker import images

        return {"prepare": images.prepare, "mask": images.mask}


class Sounds(_Files):
    """Methods `listen`, `reference` and `encode`."""

    def _imported(self) -> Mapping[str, Callable[..., Answer]]:
        from tools.media.worker import decoding, encoding

        return {
            "listen": decoding.listen,
            "reference": decoding.reference,
            "encode": encoding.encode,
        }
