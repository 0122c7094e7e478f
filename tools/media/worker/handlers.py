"""The handlers that run in the processes. Each imports its own library alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from models.workers.host import Answer, TaskHandle
from models.workers.limits import limit_memory


class _FileHandler:
    """Hands a file to the function of the method. Options: `memory_bytes`, the most it may take."""

    def __init__(self, options: dict[str, Any]) -> None:
        limit_memory(options["memory_bytes"])
        self._functions = self._import_functions()

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        return self._functions[method](body, **header)

    def _import_functions(self) -> Mapping[str, Callable[..., Answer]]:
        raise NotImplementedError


class PictureHandler(_FileHandler):
    """Methods `prepare` and `mask`."""

    def _import_functions(self) -> Mapping[str, Callable[..., Answer]]:
        from tools.media.worker import images

        return {"prepare": images.prepare, "mask": images.prepare_mask}


class SoundHandler(_FileHandler):
    """Methods `listen`, `reference` and `encode`."""

    def _import_functions(self) -> Mapping[str, Callable[..., Answer]]:
        from tools.media.worker import decoding, encoding

        return {
            "listen": decoding.decode_samples,
            "reference": decoding.cut_reference,
            "encode": encoding.encode,
        }
