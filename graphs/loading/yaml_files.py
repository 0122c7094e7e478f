"""Agent files of a folder: reading their texts."""

from __future__ import annotations

from pathlib import Path

from config.errors import Invalid, MotetError
from config.files import read_text as read_text_file
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
    try:
        paths = sorted(folder.glob("*")) if folder.is_dir() else []
    except OSError as error:
        return {}, {str(folder): _unreadable(folder, error)}
    for path in paths:
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
        return read_text_file(file)
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(file, error) from error


def _unreadable(path: Path, error: OSError | UnicodeDecodeError) -> Invalid:
    reason = error.strerror if isinstance(error, OSError) else error
    message = f"{path}: cannot be read: {reason}"
    return Invalid(message, code="invalid_agent", details={"file": str(path)})
