"""Whisper: speech into text, window by window, with times."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForSpeechSeq2Seq,
    AutoProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
)

from config.errors import Cancelled, Unavailable
from models.backends.transformers.timestamps import TimedTokens, parse_timestamps
from models.backends.transformers.worker.loading import load_model, open_device, open_processor
from models.capabilities.transcribe import RATE
from models.workers.host import Answer, TaskHandle

Samples = np.ndarray[Any, np.dtype[np.float32]]

# Quieter is no speech; asked about silence, Whisper makes words up.
SILENCE = 0.001
LEAST_STEP_S = 1.0


class WhisperHandler:
    """Methods: `about`, and `transcribe` (language, translate; 16-bit samples), which streams."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._placement = open_device(options)
        self._processor = open_processor(AutoProcessor, options["source"])
        self._tokenizer = self._processor.tokenizer
        self._model = load_model(AutoModelForSpeechSeq2Seq, options, self._placement)
        if self._model.config.model_type != "whisper":
            raise Unavailable(
                f"It is a {self._model.config.model_type}; only Whisper models transcribe here.",
                code="model_unreadable",
                permanent=True,
            )
        without_times = self._tokenizer.convert_tokens_to_ids("<|notimestamps|>")
        self._first_time: int = without_times + 1
        self._special = frozenset(self._tokenizer.all_special_ids)
        self._window_s = float(self._processor.feature_extractor.chunk_length)

    def memory(self) -> dict[str, Any]:
        return self._placement.memory()

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        if method == "about":
            return {"languages": self._languages()}, b""
        samples: Samples = np.frombuffer(body, "<i2").astype(np.float32) / np.float32(32768)
        choice: dict[str, Any] = {}
        if self._languages():
            choice["task"] = "translate" if header["translate"] else "transcribe"
            choice["language"] = header["language"]
        at_s, total_s = 0.0, len(samples) / RATE
        while at_s < total_s:
            at_s += self._window(samples[int(at_s * RATE) :], at_s, choice, task)
        return {}, b""

    def _window(
        self, samples: Samples, at_s: float, choice: dict[str, Any], task: TaskHandle
    ) -> float:
        """Tell what is in the first window of the samples; how far to go on."""
        samples = samples[: int(self._window_s * RATE)]
        long_s = len(samples) / RATE
        if float(np.abs(samples).max()) < SILENCE:
            return long_s
        if choice and choice["language"] is None:
            choice["language"] = self._detect_language(samples)
        stretches, step_s = parse_timestamps(
            self._tokens(samples, choice, task),
            self._first_time,
            lambda token: token not in self._special,
            long_s,
        )
        if segments := [each for each in self._decode(stretches, at_s) if each[2]]:
            task.emit({"segments": segments, "language": choice.get("language") or "en"})
        return max(step_s, min(LEAST_STEP_S, long_s))

    def _decode(self, stretches: list[TimedTokens], at_s: float) -> list[tuple[float, float, str]]:
        return [
            (
                round(at_s + each.start_s, 2),
                round(at_s + each.end_s, 2),
                self._tokenizer.decode(each.tokens, skip_special_tokens=True).strip(),
            )
            for each in stretches
        ]

    def _tokens(self, samples: Samples, choice: dict[str, Any], task: TaskHandle) -> list[int]:
        stop = _Cancelled(task)
        try:
            answer = self._model.generate(
                self._features(samples),
                return_timestamps=True,
                force_unique_generate_call=True,  # how to go on is decided here
                stopping_criteria=StoppingCriteriaList([stop]),
                **choice,
            )
        except torch.OutOfMemoryError:
            self._placement.release()
            raise
        if task.cancelled():
            raise Cancelled("The caller gave up.")
        tokens: list[int] = answer[0].tolist()
        return tokens

    def _detect_language(self, samples: Samples) -> str:
        """Detect the language, and return its short name."""
        token = int(self._model.detect_language(self._features(samples))[0])
        name: str = self._tokenizer.convert_ids_to_tokens(token)
        return name.strip("<|>")

    def _features(self, samples: Samples) -> Any:
        features = self._processor.feature_extractor(
            samples, sampling_rate=RATE, return_tensors="pt", device="cpu"
        )
        return features["input_features"].to(self._placement.device, self._model.dtype)

    def _languages(self) -> list[str]:
        """List the languages by their short names; none of a model that knows English alone."""
        known = self._model.generation_config
        if not getattr(known, "is_multilingual", False):
            return []
        return sorted(name.strip("<|>") for name in known.lang_to_id)


class _Cancelled(StoppingCriteria):  # type: ignore[misc]
    def __init__(self, task: TaskHandle) -> None:
        self._task = task

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._task.cancelled(), device=input_ids.device)
