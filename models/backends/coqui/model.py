"""A loaded model of coqui-tts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from config.errors import Invalid, nearest
from config.hints import list_names
from models.backends.common.speaking import SpeakingModel
from models.backends.coqui.options import CoquiOptions
from models.capabilities import SpeechRequest, Voice
from models.scheduling.requirement import MemoryRequirement
from models.workers.process import WorkerProcess

ONLY_VOICE = "default"


class CoquiModel(SpeakingModel):
    """It is its own `Speech`. `about` is what its worker told."""

    def __init__(
        self,
        worker: WorkerProcess,
        need: MemoryRequirement,
        options: CoquiOptions,
        about: Mapping[str, Any],
    ) -> None:
        super().__init__(
            worker, need, silence_s=options.timeout_s, sentence_chars=options.sentence_chars
        )
        self._options = options
        self._speakers: list[str] = about["speakers"]
        self._languages: list[str] = about["languages"]
        self._several: bool = about["several_languages"]
        self._char_limits: dict[str, int] = about["char_limits"]
        self._has_speed: bool = about["has_speed"]
        self.clones: bool = about["clones"]
        self._say_header(SpeechRequest("", reference=b"" if self.clones else None))

    @property
    def voices(self) -> Sequence[Voice]:
        language = "" if self._several else next(iter(self._languages), "")
        named = self._speakers or ([] if self.clones else [ONLY_VOICE])
        return [Voice(name, language) for name in named]

    def _say_header(self, request: SpeechRequest) -> dict[str, Any]:
        speed = request.speed * self._options.speed
        if speed != 1.0 and not self._has_speed:
            raise _unable("speed", "This model has one speed: leave `speed` at 1.")
        if not 0.1 <= speed <= 10:
            raise _unable("speed", f"A speed of {request.speed:g} is beyond this model.")
        return {
            "voice": self._voice(request),
            "language": self._language(request.language),
            "speed": speed,
            "seed": self._options.seed,
        }

    def _max_sentence_chars(self, header: Mapping[str, Any]) -> int:
        language = str(header["language"] or "").partition("-")[0]
        return min(self._sentence_chars, self._char_limits.get(language, self._sentence_chars))

    def _voice(self, request: SpeechRequest) -> str | None:
        """Choose the speaker's name for the library; None where there is but one, or a clip."""
        if request.reference is not None:
            if not self.clones:
                raise _unable("reference", "This model cannot clone a voice. Leave it out.")
            if request.voice is not None:
                raise _unable("voice", "A voice and a `reference` of one: leave one of them out.")
            return None
        name = request.voice or self._options.voice
        if name is None and not self._speakers and self.clones:
            raise _unable("reference", "This model speaks like a clip that it is given: give one.")
        names = [voice.id for voice in self.voices]
        if name is not None and name not in names:
            message = f"There is no voice '{name}'. {nearest(name, names)}"
            raise Invalid(message, code="unknown_voice", details={"field": "voice"})
        return (name or self._speakers[0]) if self._speakers else None

    def _language(self, requested: str | None) -> str | None:
        """Choose the model's name for a language; None where it speaks but one."""
        tag_or_name = requested or self._options.language
        if tag_or_name is None:
            return self._languages[0] if self._several else None
        tag = tag_or_name.lower().replace("_", "-")
        known = {name.lower().replace("_", "-"): name for name in self._languages}
        main = tag.partition("-")[0]
        own_name = known.get(tag) or known.get(main) or _of_country(known, main)
        if own_name is None and known:
            message = f"This model does not speak '{tag_or_name}'. {list_names(list(known))}"
            raise Invalid(message, code="unknown_language", details={"field": "language"})
        return own_name if self._several else None


def _of_country(known: Mapping[str, str], language: str) -> str | None:
    """Find a language with any country, as "zh-cn" for "zh"."""
    return next((name for tag, name in known.items() if tag.partition("-")[0] == language), None)


def _unable(field: str, message: str) -> Invalid:
    return Invalid(message, code="capability_unsupported", details={"field": field})
