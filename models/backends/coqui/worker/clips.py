"""Clips of voices to clone, kept as files as long as the worker runs, as the library wants them."""

from __future__ import annotations

import hashlib
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import soundfile

from config.errors import Invalid

MAX_KEPT = 16
LEAST_S = 1.0


class Clips:
    """What is made of a clip is kept too, so that it is listened to once for all sentences."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="motet-voices-")
        self._known: dict[str, None] = {}

    def voice(self, clip: bytes, *, named: bool) -> dict[str, Any]:
        """Return the arguments for the library, which saves a voice by its name, where it can.

        Raises `Invalid` for a clip that cannot be read, or is too short.
        """
        name = _name(clip)
        file = Path(self._folder.name, f"{name}.wav")
        if name not in self._known:
            _check(clip)
            file.write_bytes(clip)
        if not named:
            return {"speaker_wav": str(file)}
        voice: dict[str, Any] = {"speaker": name, "voice_dir": self._folder.name}
        return voice if name in self._known else {**voice, "speaker_wav": str(file)}

    def mark_known(self, clip: bytes) -> None:
        """Note that the library has made a voice of it; the oldest beyond `MAX_KEPT` is deleted."""
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


def _check(clip: bytes) -> None:
    try:
        seconds = soundfile.info(BytesIO(clip)).duration
    except soundfile.SoundFileError as error:
        raise _refused("it cannot be read") from error
    if seconds < LEAST_S:
        raise _refused(f"it has {seconds:.1f} s, and a voice takes {LEAST_S:g} s to be known")


def _refused(why: str) -> Invalid:
    return Invalid(
        f"The clip of a voice is of no use: {why}.",
        code="unreadable_audio",
        details={"field": "reference"},
    )


def _name(clip: bytes) -> str:
    return hashlib.sha256(clip).hexdigest()[:32]
