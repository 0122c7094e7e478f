"""The worker's side of faster-whisper."""

from __future__ import annotations

from typing import Any

import numpy as np
from faster_whisper import WhisperModel

from config.errors import Cancelled, Unavailable
from models.capabilities.transcribe import RATE
from models.workers.host import Answer, TaskHandle

SILENCE = 0.001
"""Quieter is no speech; asked about silence, Whisper makes words up."""


class FasterWhisperHandler:
    """Methods: `about`, and `transcribe` (language, translate; 16-bit samples), which streams."""

    def __init__(self, options: dict[str, Any]) -> None:
        kind, _, number = options["device"].partition(":")
        try:
            self._model = WhisperModel(
                options["source"],
                device=kind,
                device_index=int(number or 0),
                compute_type=options["compute_type"],
                cpu_threads=options["threads"],
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise Unavailable(
                f"{options['source']} cannot be loaded: {error}",
                code="model_unreadable",
                permanent=True,
            ) from error
        self._beam_size = options["beam_size"]
        self._skip_silence = options["skip_silence"]

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        if method == "about":
            multilingual = self._model.model.is_multilingual
            return {"languages": self._model.supported_languages if multilingual else []}, b""
        samples = np.frombuffer(body, "<i2").astype(np.float32) / np.float32(32768)
        if len(samples) and float(np.abs(samples).max()) >= SILENCE:
            self._transcribe(samples, header, task)
        return {}, b""

    def _transcribe(self, samples: Any, header: dict[str, Any], task: TaskHandle) -> None:
        long_s = len(samples) / RATE
        segments, about = self._model.transcribe(
            samples,
            language=header["language"],
            task="translate" if header["translate"] else "transcribe",
            beam_size=self._beam_size,
            vad_filter=self._skip_silence,
        )
        # Each is decoded when it is asked for.
        for segment in segments:
            if task.cancelled():
                raise Cancelled("The caller gave up.")
            if text := segment.text.strip():
                start_s, end_s = (round(min(at, long_s), 2) for at in (segment.start, segment.end))
                task.emit({"segments": [(start_s, end_s, text)], "language": about.language})
