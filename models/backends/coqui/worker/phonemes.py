"""Phonemes for models that were trained on them, where no espeak-ng is installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

IPA = 0x02
SEPARATED = IPA | ord("_") << 8
HEADER = "Pty Language Age/Gender VoiceName File"


def provide_espeak() -> None:
    """Let the library's phonemizer use the espeak-ng that speaks for us: it looks for a program.

    To be called before a model is loaded, which keeps the phonemizer that it finds.
    """
    from TTS.tts.utils.text.phonemizers import espeak_wrapper as wrapper

    if wrapper.ESpeak.is_available() or find_spec("espeakng_loader") is None:
        return
    program = _Program()
    wrapper._is_tool = lambda name: name == "espeak-ng"
    wrapper._DEF_ESPEAK_LIB = "espeak-ng"
    wrapper._DEF_ESPEAK_VER = program.version
    wrapper.get_espeakng_version = lambda: program.version
    wrapper._espeak_exe = program.run


class _Program:
    """Does what the program `espeak-ng` does with the arguments that the wrapper gives it."""

    def __init__(self) -> None:
        from models.backends.espeak.worker.library import Espeak

        self._espeak = Espeak()
        self.version = self._espeak.version

    def run(self, program: str, arguments: Sequence[str]) -> list[str]:
        """Return the lines that the program would print."""
        if arguments[0] == "--voices":
            return [HEADER, *self._voices()]
        options = dict(pairwise(arguments))
        self._espeak.use(options["-v"])
        mode = SEPARATED if "--ipa=1" in arguments else IPA
        lines = self._espeak.phonemes(Path(options["-f"]).read_text(encoding="utf-8"), mode)
        return [line for line in map(str.strip, lines) if line]

    def _voices(self) -> list[str]:
        return [
            f"{rank} {tag} --/M {voice['name'].replace(' ', '_')} {voice['file']}"
            for voice in self._espeak.voices()
            for tag, rank in voice["languages"]
        ]
