"""Pulling a model into Ollama: its lines as one progress over all layers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from config.errors import MotetError, NotFound, Unavailable
from models.backends.ollama import errors
from models.backends.ollama.api import OllamaApi
from models.driver import Progress

SILENCE_S = 120.0
UNKNOWN = ("file does not exist", "not found")


class Layers:
    """Of what is pulled, by digest: bytes here, and bytes in all."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int]] = {}

    def update(self, line: Mapping[str, Any]) -> dict[str, Any]:
        """Return the progress after a line.

        Small layers have none; a layer's last stays below its total until the next stage begins.
        """
        status = str(line.get("status", ""))
        if "digest" in line:
            self._known[line["digest"]] = line.get("completed", 0), line.get("total", 0)
        elif status != "pulling manifest":
            self._known = {name: (total, total) for name, (_, total) in self._known.items()}
        completed = sum(done for done, _ in self._known.values())
        total = sum(whole for _, whole in self._known.values())
        return {"status": status, "completed": completed, "total": total}


async def pull(api: OllamaApi, source: str, progress: Progress) -> None:
    """Pull a model. Leaving stops it; Ollama keeps what it has, and goes on there."""
    layers, ended = Layers(), False
    try:
        stream = api.lines("/api/pull", {"model": source}, SILENCE_S, called=source)
        async with aclosing(stream) as lines:
            async for line in lines:
                progress(layers.update(line))
                ended = line.get("status") == "success"
    except MotetError as error:
        raise _explained(error, source) from error
    if not ended:
        raise errors.cut_short(source)


def _explained(error: MotetError, source: str) -> MotetError:
    cause = str(error.details.get("cause", ""))
    if any(phrase in cause for phrase in UNKNOWN):
        return NotFound(f"Ollama's registry has no model '{source}'.", code="model_not_found")
    if "digest mismatch" in cause:
        return Unavailable(
            f"A file of '{source}' arrived damaged; Ollama deleted it. Pull it again.",
            code="digest_mismatch",
            details=error.details,
        )
    if error.code == "model_failed":
        message = f"Ollama cannot pull '{source}': {cause}"
        return Unavailable(message, code="pull_failed", details=error.details)
    return error
