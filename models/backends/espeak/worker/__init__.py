"""The worker's side of espeak-ng."""

from __future__ import annotations

from typing import Any

from models.backends.espeak.worker.library import Espeak
from models.workers.host import Answer, TaskHandle


class Speaker:
    """Methods: `about`, which lists the voices, and `say`, which speaks one sentence."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._espeak = Espeak()

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        if method == "about":
            return {"voices": self._espeak.voices(), "variants": self._espeak.variants}, b""
        samples = self._espeak.say(
            header["text"],
            voice=header["voice"],
            words_a_minute=header["words_a_minute"],
            pitch=header["pitch"],
            cancelled=task.cancelled,
        )
        return {"rate": self._espeak.rate}, samples
