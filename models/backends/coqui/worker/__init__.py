"""The worker's side of coqui-tts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from config.errors import Invalid
from models.backends.common.worker import Placement
from models.backends.coqui.worker.clips import Clips
from models.backends.coqui.worker.loading import load_tts
from models.backends.coqui.worker.speaking_rate import has_speed, speaking_rate
from models.workers.host import Answer, TaskHandle

FULL = 32767.0
NOTHING_KNOWN = 1
"""Tokens of a text of which the model knows no character: at most one, a blank."""


class CoquiHandler:
    """Methods: `about`, and `say`, which speaks one sentence; its body is a clip to sound like."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._placement = Placement(options["device"], options["memory_fraction"])
        torch.set_num_threads(options["threads"] if self._placement.on_cpu else 1)
        self._tts = load_tts(options).to(self._placement.device)
        self._model = self._tts.synthesizer.tts_model
        self._speakers = getattr(self._model, "speaker_manager", None)
        if encoder := getattr(self._speakers, "encoder", None):
            encoder.to("cpu")  # the library hands it clips on the CPU, wherever the model is
        self._clips = Clips()

    def memory(self) -> dict[str, Any]:
        return self._placement.memory()

    def close(self) -> None:
        self._clips.close()

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        if method == "about":
            return self._about(), b""
        rate = self._tts.synthesizer.output_sample_rate
        if not self._knows(header["text"], header["language"]):
            return {"rate": rate}, b""
        torch.manual_seed(header["seed"])
        try:
            return {"rate": rate}, self._say(header, body)
        except torch.OutOfMemoryError:
            self._placement.release()
            raise

    def _about(self) -> dict[str, Any]:
        several = bool(self._tts.is_multi_lingual)
        return {
            "speakers": list(self._tts.speakers or []),
            "languages": list(self._model.language_manager.language_names),
            "several_languages": several,
            "has_speed": has_speed(self._model),
            "char_limits": self._char_limits(),
            "clones": bool(self._model.config.supports_cloning),
        }

    def _char_limits(self) -> dict[str, int]:
        """Return the longest text by language, where the model has such bounds."""
        tokenizer: Any = getattr(self._model, "tokenizer", None)
        return dict(getattr(tokenizer, "char_limits", {}))

    def _say(self, header: dict[str, Any], clip: bytes) -> bytes:
        from TTS.utils.synthesizer import PAD_SILENCE_SAMPLES

        voice = {"speaker": header["voice"]}
        if clip:
            # An XTTS without a file of speakers has nothing that would know voices by name.
            voice = self._clips.voice(clip, named=self._speakers is not None)
        with speaking_rate(self._model, header["speed"]) as more:
            wave = self._tts.tts(
                header["text"],
                language=header["language"],
                split_sentences=False,
                **voice,
                **more,
            )
        self._clips.mark_known(clip)
        samples = np.asarray(wave[:-PAD_SILENCE_SAMPLES], np.float32)
        if not np.isfinite(samples).all():
            raise Invalid(
                "The model made no sound of this sentence.", code="capability_unsupported"
            )
        return (np.clip(samples, -1, 1) * FULL).astype("<i2").tobytes()

    def _knows(self, text: str, language: str | None) -> bool:
        """Tell whether the model knows a character of it; the library fails on a text of none."""
        tokenizer: Any = getattr(self._model, "tokenizer", None)
        if not hasattr(tokenizer, "text_to_ids"):
            return True
        names = self._model.language_manager.language_names
        spoken = language or (names[0] if names else None)
        return len(tokenizer.text_to_ids(text, language=spoken)) > NOTHING_KNOWN
