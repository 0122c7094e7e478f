"""Names of files that a server or a model chose, made safe to write into a folder.

Invariant: a safe name is one part of a path, is no hidden file, no option of a command and no
device, and is written the same on every system.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path

MAX_NAME_BYTES = 200
"""File systems take 255; some are left for the number of a second file of the name."""
RESERVED = re.compile(r'[/\\:*?"<>|]')
"""Separators of paths, of drives and of streams, and what Windows takes in no name."""
DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)", re.IGNORECASE)


def safe_name(name: str, fallback: str) -> str:
    """Make a file name of the last part of `name`; `fallback` where nothing of it is left."""
    last = re.split(r"[/\\]", name)[-1]
    # What is not printable may hide the true ending (bidirectional marks), or break terminals.
    printable = "".join(each for each in last if each.isprintable())
    bare = RESERVED.sub("-", printable).strip(" .-")
    # Windows takes a device's name for the device whatever ends it: `nul.txt`.
    if DEVICE.fullmatch(bare.partition(".")[0].strip()):
        bare = f"file-{bare}"
    return _shorten(bare) or fallback


def temporary_path(folder: Path) -> Path:
    """Name a new file of the folder, which nobody can have put a link at before."""
    return folder / f".{secrets.token_hex(16)}.part"


def _shorten(name: str) -> str:
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    suffix = Path(name).suffix if len(Path(name).suffix.encode()) <= 20 else ""
    room = MAX_NAME_BYTES - len(suffix.encode())
    stem = name.removesuffix(suffix).encode()[:room].decode(errors="ignore")
    return f"{stem.rstrip(' .')}{suffix}"
