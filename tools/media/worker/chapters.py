"""Chapters within files of sound: ID3 tags in MP3, comments in FLAC. Pure."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

Mark = tuple[str, float]
"""The title of a chapter, and the second at which it begins."""

_FRAMES = {
    "title": b"TIT2",
    "artist": b"TPE1",
    "album": b"TALB",
    "date": b"TDRC",
    "genre": b"TCON",
    "copyright": b"TCOP",
}
UTF8 = b"\x03"
NO_OFFSETS = b"\xff" * 8
VORBIS_COMMENT = 4
LAST_BLOCK = 0x80


def with_chapters(
    file: bytes, format: str, marks: Sequence[Mark], seconds: float, tags: Mapping[str, str]
) -> bytes:
    """The file with its chapters, where its format can hold them."""
    if not marks:
        return file
    if format == "mp3":
        return id3(marks, seconds, tags) + file
    if format == "flac":
        return _flac(file, marks)
    return file


def id3(marks: Sequence[Mark], seconds: float, tags: Mapping[str, str]) -> bytes:
    """An ID3 tag (version 2.4) for the beginning of an MP3 file."""
    frames = [_text(_FRAMES[name], text) for name, text in tags.items() if name in _FRAMES]
    if comment := tags.get("comment"):
        frames.append(_frame(b"COMM", UTF8 + b"und\0" + comment.encode()))
    ids = [b"chapter%d\0" % number for number in range(len(marks))]
    # The table of contents is the topmost, and ordered.
    contents = b"contents\0" + bytes([0b11, len(ids)]) + b"".join(ids)
    frames.append(_frame(b"CTOC", contents))
    ends = [*(start for _, start in marks[1:]), seconds]
    for id, (title, start), end in zip(ids, marks, ends, strict=True):
        times = struct.pack(">II", round(start * 1000), round(end * 1000))
        frames.append(_frame(b"CHAP", id + times + NO_OFFSETS + _text(b"TIT2", title)))
    body = b"".join(frames)
    return b"ID3\x04\0\0" + _synchsafe(len(body)) + body


def _text(id: bytes, text: str) -> bytes:
    return _frame(id, UTF8 + text.encode())


def _frame(id: bytes, body: bytes) -> bytes:
    return id + _synchsafe(len(body)) + b"\0\0" + body


def _synchsafe(number: int) -> bytes:
    """Seven bits in each byte, so that nothing in a tag looks like the beginning of a frame."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def _flac(file: bytes, marks: Sequence[Mark]) -> bytes:
    place, made = 4, [file[:4]]
    last = False
    while not last:
        kind, size = file[place], int.from_bytes(file[place + 1 : place + 4], "big")
        last = bool(kind & LAST_BLOCK)
        block = file[place + 4 : place + 4 + size]
        place += 4 + size
        if kind & ~LAST_BLOCK == VORBIS_COMMENT:
            block = _commented(block, marks)
        made.append(bytes([kind]) + len(block).to_bytes(3, "big") + block)
    return b"".join(made) + file[place:]


def _commented(block: bytes, marks: Sequence[Mark]) -> bytes:
    vendor = 4 + struct.unpack_from("<I", block)[0]
    (count,) = struct.unpack_from("<I", block, vendor)
    added = []
    for number, (title, start) in enumerate(marks):
        minutes, seconds = divmod(start, 60)
        time = f"{int(minutes // 60):02}:{int(minutes % 60):02}:{seconds:06.3f}"
        added += [f"CHAPTER{number:03}={time}", f"CHAPTER{number:03}NAME={title}"]
    packed = b"".join(struct.pack("<I", len(each)) + each for each in map(str.encode, added))
    rest = block[vendor + 4 :]
    return block[:vendor] + struct.pack("<I", count + len(added)) + rest + packed
