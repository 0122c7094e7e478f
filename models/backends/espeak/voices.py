"""The voices of espeak-ng, and which of them is meant. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.errors import Invalid, nearest
from config.hints import list_names
from models.capabilities import Voice

KIND = "formant synthesis"


@dataclass(frozen=True, slots=True)
class EspeakVoice:
    """A voice: its id ("en-us"), its file for the library, its languages with their ranks."""

    id: str
    name: str
    file: str
    languages: tuple[tuple[str, int], ...]

    def rank(self, language: str) -> int | None:
        """Rank how well it speaks a language, the least the best; None: not at all."""
        return dict(self.languages).get(language)

    def speaks(self, language: str) -> bool:
        """Tell whether it speaks that language, of whatever country."""
        main = _tag(language).partition("-")[0]
        return any(tag.partition("-")[0] == main for tag, _ in self.languages)


class VoiceList:
    """What the library listed."""

    def __init__(self, listed: Sequence[Mapping[str, Any]], variants: Sequence[str]) -> None:
        self._variants = list(variants)
        self._known = {voice.id: voice for voice in map(_parse_voice, listed)}

    @property
    def shown(self) -> list[Voice]:
        return [
            Voice(known.id, known.languages[0][0], f"{known.name}, {KIND}")
            for known in self._known.values()
        ]

    def find_file(self, voice: str | None, language: str | None, default: str) -> str:
        """Find the library's name for what was asked. Raises `Invalid` naming the field."""
        if voice is None and language:
            usual = self._find_voice(default.partition("+")[0])
            voice = default if usual.rank(_tag(language)) else self._find_speaker(language).id
        name, plus, variant = (voice or default).partition("+")
        known = self._find_voice(name)
        if plus and variant not in self._variants:
            raise Invalid(
                f"espeak-ng has no variant '{variant}'. {nearest(variant, self._variants)}",
                code="unknown_voice",
                details={"field": "voice"},
            )
        if language and not known.speaks(language):
            raise Invalid(
                f"The voice '{voice}' does not speak '{language}'. Leave one of them out.",
                code="unknown_language",
                details={"field": "language"},
            )
        return known.file + plus + variant

    def _find_voice(self, name: str) -> EspeakVoice:
        """Find a voice by its id, its name, or a tag that it speaks."""
        lowered = name.strip().lower()
        named = (known for known in self._known.values() if known.name.lower() == lowered)
        known_voice = self._known.get(lowered) or next(named, None) or self._best(_tag(name))
        if known_voice is None:
            raise Invalid(
                f"espeak-ng has no voice '{name}'. {list_names(list(self._known))}",
                code="unknown_voice",
                details={"field": "voice"},
            )
        return known_voice

    def _find_speaker(self, language: str) -> EspeakVoice:
        """Find the best voice for a BCP 47 tag, or for its language alone."""
        tag = _tag(language)
        while tag:
            if known_voice := self._best(tag):
                return known_voice
            tag = tag.rpartition("-")[0]
        tags = sorted({tag for known in self._known.values() for tag, _ in known.languages})
        raise Invalid(
            f"espeak-ng does not speak '{language}'. {list_names(tags)}",
            code="unknown_language",
            details={"field": "language"},
        )

    def _best(self, tag: str) -> EspeakVoice | None:
        ranked = [
            (rank, number, known)
            for number, known in enumerate(self._known.values())
            if (rank := known.rank(tag)) is not None
        ]
        return min(ranked)[2] if ranked else None


def _parse_voice(listed: Mapping[str, Any]) -> EspeakVoice:
    file = str(listed["file"])
    languages = tuple((str(tag).lower(), int(rank)) for tag, rank in listed["languages"])
    return EspeakVoice(file.rpartition("/")[2].lower(), str(listed["name"]), file, languages)


def _tag(language: str) -> str:
    return language.strip().lower().replace("_", "-")
