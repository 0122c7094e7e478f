"""Decodes files of sound to mono samples, with libsndfile.

Samples are float32 in -1 to 1 until `to_pcm16`; lengths are checked against the header first and
against what is really read after, since headers lie.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
import soundfile
import soxr

from config.errors import Invalid
from models.capabilities.speech import SAMPLE_BYTES
from models.capabilities.transcribe import RATE
from models.workers.host import Answer
from tools.media.kinds import kind_of

Samples = np.ndarray[Any, np.dtype[np.float32]]

FORMATS = {
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/aiff": "aiff",
}
RATES = range(1_000, 768_001)
"""Samples a second that a file may have."""
MAX_CHANNELS = 64
BLOCK_SAMPLES = 2**18
"""Read at a time, over all channels."""
FULL_SCALE = 32768.0
"""What 1.0 is in 16 bits."""


def decode_samples(data: bytes, *, max_seconds: float) -> Answer:
    """Decode a file to mono samples for a transcriber.

    Raises `Invalid` (`unreadable_audio`, `too_large`).
    """
    with _open(data, max_seconds) as file:
        pieces = _resample(_read_mono(file, max_seconds, cut=False), file.samplerate)
        samples = b"".join(to_pcm16(piece) for piece in pieces)
        original = _describe(file, data)
    seconds = len(samples) / SAMPLE_BYTES / RATE
    if not samples:
        raise _unreadable("it holds no sound")
    return {"seconds": seconds, "original": original}, samples


def cut_reference(data: bytes, *, max_seconds: float) -> Answer:
    """Cut the beginning of a file as mono WAV, at its own rate.

    Raises `Invalid` (`unreadable_audio`).
    """
    with _open(data, None) as file:
        samples = b"".join(to_pcm16(piece) for piece in _read_mono(file, max_seconds, cut=True))
        rate = file.samplerate
    if not samples:
        raise _unreadable("it holds no sound")
    wav = BytesIO()
    soundfile.write(wav, np.frombuffer(samples, "<i2"), rate, "PCM_16", format="WAV")
    return {}, wav.getvalue()


def to_pcm16(samples: Samples) -> bytes:
    """Convert samples to signed 16-bit little-endian; what is no number becomes silence."""
    whole = np.nan_to_num(samples * FULL_SCALE, nan=0.0, posinf=FULL_SCALE, neginf=-FULL_SCALE)
    return bytes(np.clip(np.rint(whole), -FULL_SCALE, FULL_SCALE - 1).astype("<i2").tobytes())


@contextmanager
def _open(data: bytes, max_seconds: float | None) -> Iterator[soundfile.SoundFile]:
    kind = kind_of(data)
    if kind not in FORMATS:
        what = "not a file of sound" if kind is None else f"a file of type {kind}"
        raise _unreadable(f"it is {what}. Give a WAV, FLAC, MP3, Ogg (Vorbis, Opus) or AIFF file")
    try:
        with soundfile.SoundFile(BytesIO(data)) as file:
            _check(file, max_seconds)
            yield file
    except soundfile.SoundFileError as error:
        raise _unreadable(f"it is broken ({error})"[:300]) from error


def _check(file: soundfile.SoundFile, max_seconds: float | None) -> None:
    if file.samplerate not in RATES:
        raise _unreadable(f"it has {file.samplerate} samples a second")
    if not 1 <= file.channels <= MAX_CHANNELS:
        raise _unreadable(f"it has {file.channels} channels, of at most {MAX_CHANNELS}")
    if max_seconds is not None and file.frames / file.samplerate > max_seconds:
        raise _too_long(file.frames / file.samplerate, max_seconds)


def _read_mono(file: soundfile.SoundFile, max_seconds: float, *, cut: bool) -> Iterator[Samples]:
    """Yield what a file holds, whatever its header says; not more than `max_seconds`.

    More is left out with `cut`, else it raises `Invalid` (`too_large`).
    """
    left = int(max_seconds * file.samplerate)
    frames = max(1, BLOCK_SAMPLES // file.channels)
    while len(block := file.read(frames, dtype="float32", always_2d=True)):
        left -= len(block)
        if left < 0 and not cut:
            raise _too_long(max_seconds - left / file.samplerate, max_seconds)
        yield block[: left or None].mean(axis=1) if left < 0 else block.mean(axis=1)
        if left <= 0 and cut:
            return


def _resample(pieces: Iterator[Samples], rate: int) -> Iterator[Samples]:
    if rate == RATE:
        yield from pieces
        return
    stream = soxr.ResampleStream(rate, RATE, 1, dtype="float32")
    for piece in pieces:
        yield stream.resample_chunk(piece)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _describe(file: soundfile.SoundFile, data: bytes) -> dict[str, Any]:
    rate = file.samplerate
    return {
        "format": FORMATS[kind_of(data) or ""],
        "rate": rate,
        "channels": file.channels,
        "seconds": file.tell() / rate,
    }


def _too_long(seconds: float, max_seconds: float) -> Invalid:
    return Invalid(
        f"The sound has at most {max_seconds:g} s here; this one has {seconds:.0f} s or more.",
        code="too_large",
        details={"field": "audio", "seconds": seconds, "max_seconds": max_seconds},
    )


def _unreadable(why: str) -> Invalid:
    return Invalid(
        f"The sound cannot be read: {why}.", code="unreadable_audio", details={"field": "audio"}
    )
