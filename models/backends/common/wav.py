"""WAV files of other programs, read leniently. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass

PCM, EXTENSIBLE = 1, 0xFFFE


@dataclass(frozen=True, slots=True)
class Wav:
    """Mono signed 16-bit little-endian samples, `rate` of them a second."""

    samples: bytes
    rate: int


def read_wav(data: bytes) -> Wav | None:
    """Read mono 16-bit PCM; None for anything else.

    A server that streams does not know the length when it writes the header: the samples then go
    to the end of the file.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    rate, offset = 0, 12
    while offset + 8 <= len(data):
        name, size = (
            data[offset : offset + 4],
            int.from_bytes(data[offset + 4 : offset + 8], "little"),
        )
        body = data[offset + 8 : offset + 8 + size]
        if name == b"fmt " and len(body) >= 16:
            kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
            if kind not in (PCM, EXTENSIBLE) or (channels, bits) != (1, 16):
                return None
        if name == b"data":
            return Wav(body[: len(body) // 2 * 2], rate) if rate else None
        offset += 8 + size + size % 2
    return None


def wav_file(samples: bytes, rate: int) -> bytes:
    """Write a file of such samples."""
    form = struct.pack("<HHIIHH", PCM, 1, rate, rate * 2, 2, 16)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(samples))
    return b"RIFF" + struct.pack("<I", len(chunks) + len(samples)) + chunks + samples
