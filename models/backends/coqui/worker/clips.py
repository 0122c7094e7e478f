"""Clips of voices to clone, kept as files as long as the worker runs, as the library wants them."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

MAX_KEPT = 16


class Clips:
    """What is made of a clip is kept too, so that it is listened to once for all sentences."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="motet-voices-")
        self._known: dict[str, None] = {}

    def voice(self, clip: bytes) -> dict[str, Any]:
        """What to tell the library, which saves and finds the voice by its name."""
        name = _name(clip)
        voice: dict[str, Any] = {"speaker": name, "voice_dir": self._folder.name}
        if name not in self._known:
            file = Path(self._folder.name, f"{name}.wav")
            file.write_bytes(clip)
            voice["speaker_wav"] = str(file)
        return voice

    def heard(self, clip: bytes) -> None:
        """The library has made a voice of it."""
        if not clip:
            return
        self._known.pop(_name(clip), None)
        self._known[_name(clip)] = None
        if len(self._known) > MAX_KEPT:
            oldest = next(iter(self._known))
            del self._known[oldest]
            for file in Path(self._folder.name).glob(f"{oldest}.*"):
                file.unlink()

    def close(self) -> None:
        self._folder.cleanup()


def _name(clip: bytes) -> str:
    return hashlib.sha256(clip).hexdigest()[:32]
