"""The worker's side of espeak-ng."""

from __future__ import annotations

from typing import Any

from models.backends.espeak.worker.library import Espeak
from models.workers.host import Answer, TaskHandle


class EspeakHandler:
    """Methods: `about`, which lists the voices, and `say`, which speaks one sentence."""

    def __init__(self, options: dict[str, Any]) -> None:
        with Espeak() as espeak:
            self._about = {"voices": espeak.voices(), "variants": espeak.variants}

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        if method == "about":
            return self._about, b""
        with Espeak() as espeak:
            samples = espeak.say(
                header["text"],
                voice=header["voice"],
                words_a_minute=header["words_a_minute"],
                pitch=header["pitch"],
                cancelled=task.cancelled,
            )
            return {"rate": espeak.rate}, samples
