"""Encodes samples (signed 16-bit, mono) as files of sound, with libsndfile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import soundfile
import soxr

from models.capabilities.speech import SAMPLE_BYTES
from models.workers.host import Answer
from tools.media.worker.chapters import add_chapters

Samples = np.ndarray[Any, np.dtype[np.int16]]

SUBTYPES = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}
RATES = {
    "mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    "opus": (8000, 12000, 16000, 24000, 48000),
}
"""Samples a second that these formats know; others take any."""
BLOCK_SAMPLES = 2**16  # libsndfile's Vorbis keeps each block on its stack


def encode(
    data: bytes,
    *,
    parts: Sequence[tuple[int, int]],
    format: str,
    pause_s: float,
    chapters: Sequence[tuple[str, int]],
    tags: Mapping[str, str],
) -> Answer:
    """Encode parts, given as sizes in bytes and rates, as one file.

    Returns also the second at which each part begins.
    """
    rate = _choose_rate(format, parts[0][1])
    file = BytesIO()
    container, subtype = SUBTYPES[format]
    starts: list[float] = []
    written = 0
    with soundfile.SoundFile(file, "w", rate, 1, subtype, format=container) as writer:
        for name, text in tags.items():
            setattr(writer, name, text)
        for samples in _read_parts(data, parts, rate):
            if starts:
                written += _write(writer, np.zeros(round(pause_s * rate), np.int16))
            starts.append(written / rate)
            written += _write(writer, samples)
    seconds = written / rate
    marks = [(title, starts[part]) for title, part in chapters]
    file_bytes = add_chapters(file.getvalue(), format, marks, seconds, tags)
    return {"rate": rate, "seconds": seconds, "starts": starts}, file_bytes


def _choose_rate(format: str, source_rate: int) -> int:
    """Choose the lowest rate that the format knows and that is not below the source's."""
    rates = RATES.get(format)
    if rates is None:
        return source_rate
    return min((rate for rate in rates if rate >= source_rate), default=rates[-1])


def _read_parts(data: bytes, parts: Sequence[tuple[int, int]], rate: int) -> Iterator[Samples]:
    offset = 0
    for size, part_rate in parts:
        samples = np.frombuffer(data, "<i2", size // SAMPLE_BYTES, offset)
        offset += size
        yield samples if part_rate == rate else soxr.resample(samples, part_rate, rate)


def _write(writer: soundfile.SoundFile, samples: Samples) -> int:
    """Write samples block by block, and return how many there were."""
    for start in range(0, len(samples), BLOCK_SAMPLES):
        writer.write(samples[start : start + BLOCK_SAMPLES])
    return len(samples)
