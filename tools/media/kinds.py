"""Tells what kind of file some bytes are, by how they begin. Pure, and quick on any bytes."""

from __future__ import annotations

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_RIFF_FORMS = {b"WAVE": "audio/wav", b"WEBP": "image/webp"}
_AIFF_FORMS = {b"AIFF": "audio/aiff", b"AIFC": "audio/aiff"}
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"hevc": "image/heic",
    b"mif1": "image/heic",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
}
"""Major brands of ISO media files (ISO/IEC 14496-12, `ftyp`)."""


def kind_of(data: bytes) -> str | None:
    """Return the media type of a file of pictures or sound; None for anything else.

    It says what the file claims to be. Only reading it tells whether it is sound.
    """
    for start, kind in _SIGNATURES:
        if data.startswith(start):
            return kind
    if data[:4] in (b"RIFF", b"RF64"):
        return _RIFF_FORMS.get(data[8:12])
    if data[:4] == b"FORM":
        return _AIFF_FORMS.get(data[8:12])
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "video/mp4")
    return "audio/mpeg" if _is_mpeg_frame(data) else None


def _is_mpeg_frame(data: bytes) -> bool:
    """Tell whether bytes begin with the header of an MPEG audio frame (ISO/IEC
    11172-3, 2.4.1.3).
    """
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return False
    version, layer = data[1] >> 3 & 3, data[1] >> 1 & 3
    bitrate, rate = data[2] >> 4, data[2] >> 2 & 3
    return version != 1 and layer != 0 and bitrate != 15 and rate != 3
