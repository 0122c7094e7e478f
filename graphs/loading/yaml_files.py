"""Agent files of a folder: reading their texts, replacing one in one step."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from config.errors import Invalid, MotetError
from graphs.agent import Origin
from graphs.loading.build import AgentSource

SUFFIXES = (".yaml", ".yml")


def read_sources(
    folder: Path, origin: Origin
) -> tuple[dict[str, AgentSource], dict[str, MotetError]]:
    """Read the YAML of a folder's agents by name, and by file what could not be read.

    Files whose name begins with a dot or an underscore are left alone. A folder that is not there
    is empty.
    """
    sources: dict[str, AgentSource] = {}
    problems: dict[str, MotetError] = {}
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        if path.suffix not in SUFFIXES or path.name.startswith((".", "_")):
            continue
        try:
            sources[path.stem] = AgentSource(path.stem, read_text(path), origin, path)
        except Invalid as error:
            problems[str(path)] = error
    return sources, problems


def read_text(file: Path) -> str:
    """Read a file's text. Raises `Invalid` (`invalid_agent`) naming the file."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(
            f"{file}: cannot be read: {error}", code="invalid_agent", details={"file": str(file)}
        ) from error


def write_atomically(file: Path, text: str) -> None:
    """Replace a file in one step: readers see the old text or the new, never half of it."""
    # In the same folder, because a rename is atomic within one file system only. The name begins
    # with a dot, so that a reload in between leaves it alone.
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
