"""Writes chapters into files of sound: ID3 tags in MP3, comments in FLAC. Pure.

MP3: ID3v2.4.0 with CHAP and CTOC frames of "ID3v2 Chapter Frame Addendum" 1.0. FLAC: the metadata
blocks of RFC 9639, 8, with `CHAPTERnnn` comments of Xiph's chapter extension. libsndfile writes
neither.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

ChapterMark = tuple[str, float]
"""The title of a chapter, and the second at which it begins."""

_TAG_FRAMES = {
    "title": b"TIT2",
    "artist": b"TPE1",
    "album": b"TALB",
    "date": b"TDRC",
    "genre": b"TCON",
    "copyright": b"TCOP",
}
"""The text frames of ID3v2.4.0 for tags; a comment has a frame of its own shape."""
UTF8 = b"\x03"
"""The text encoding of a frame (ID3v2.4.0 structure, 4)."""
NO_OFFSETS = b"\xff" * 8
"""A chapter is told by times alone: both byte offsets are unused (CHAP, 3.1)."""
VORBIS_COMMENT = 4
"""A type of metadata block."""
LAST_BLOCK = 0x80
"""The flag, in the same byte, of the last metadata block."""


def add_chapters(
    file: bytes, format: str, marks: Sequence[ChapterMark], seconds: float, tags: Mapping[str, str]
) -> bytes:
    """Return the file with its chapters, where its format can hold them."""
    if not marks:
        return file
    if format == "mp3":
        return build_id3(marks, seconds, tags) + file
    if format == "flac":
        return _add_flac_chapters(file, marks)
    return file


def build_id3(marks: Sequence[ChapterMark], seconds: float, tags: Mapping[str, str]) -> bytes:
    """Build an ID3 tag (version 2.4) for the beginning of an MP3 file. `seconds` is its length."""
    frames = [
        _text_frame(_TAG_FRAMES[name], text) for name, text in tags.items() if name in _TAG_FRAMES
    ]
    if comment := tags.get("comment"):
        frames.append(_frame(b"COMM", UTF8 + b"und\0" + comment.encode()))
    ids = [b"chapter%d\0" % number for number in range(len(marks))]
    # The table of contents is the topmost, and ordered.
    contents = b"contents\0" + bytes([0b11, len(ids)]) + b"".join(ids)
    frames.append(_frame(b"CTOC", contents))
    ends = [*(start for _, start in marks[1:]), seconds]
    for id, (title, start), end in zip(ids, marks, ends, strict=True):
        times = struct.pack(">II", round(start * 1000), round(end * 1000))
        frames.append(_frame(b"CHAP", id + times + NO_OFFSETS + _text_frame(b"TIT2", title)))
    body = b"".join(frames)
    return b"ID3\x04\0\0" + _synchsafe(len(body)) + body


def _text_frame(id: bytes, text: str) -> bytes:
    return _frame(id, UTF8 + text.encode())


def _frame(id: bytes, body: bytes) -> bytes:
    return id + _synchsafe(len(body)) + b"\0\0" + body


def _synchsafe(number: int) -> bytes:
    """Encode a size (ID3v2.4.0 structure, 6.2).

    Seven bits in each byte, so that nothing in a tag looks like the beginning of a frame.
    """
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def _add_flac_chapters(file: bytes, marks: Sequence[ChapterMark]) -> bytes:
    position, blocks = 4, [file[:4]]
    last = False
    while not last:
        kind, size = file[position], int.from_bytes(file[position + 1 : position + 4], "big")
        last = bool(kind & LAST_BLOCK)
        block = file[position + 4 : position + 4 + size]
        position += 4 + size
        if kind & ~LAST_BLOCK == VORBIS_COMMENT:
            block = _add_comments(block, marks)
        blocks.append(bytes([kind]) + len(block).to_bytes(3, "big") + block)
    return b"".join(blocks) + file[position:]


def _add_comments(block: bytes, marks: Sequence[ChapterMark]) -> bytes:
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
