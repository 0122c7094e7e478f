"""Files between here and the service: those of an agent's input, and those of its output."""

from __future__ import annotations

import filecmp
import mimetypes
import os
import stat
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from config.errors import Invalid, NotFound
from server.cli.client import download, read_answer
from server.cli.file_names import safe_name, temporary_path
from tools.artifact_record import CONTENT_HASH

FILE_FORMATS = ("image", "audio", "file")
MAX_TEXT_BYTES = 2 * 2**20


async def upload_input_files(
    client: httpx.AsyncClient, schema: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Upload the files that an agent's input names, as in `picture=@photo.jpg`.

    Returns the input to send. Raises `NotFound` (`file_not_found`).
    """
    prepared = dict(values)
    for name, field in schema.get("properties", {}).items():
        value = prepared.get(name)
        if not isinstance(value, str) or field.get("format") not in FILE_FORMATS:
            continue
        path = Path(value.removeprefix("@")).expanduser()
        if value.startswith("@") or _exists(path):
            prepared[name] = await upload(client, path, name)
    return prepared


async def upload(client: httpx.AsyncClient, path: Path, field: str) -> dict[str, Any]:
    """Upload a local file and give its artifact.

    Raises `NotFound` (`file_not_found`), and `Invalid` for one that cannot be read.
    """
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    with _reading(path, field), path.open("rb") as opened:
        response = await client.post("/artifacts", files={"files": (path.name, opened, kind)})
    artifact: dict[str, Any] = (await read_answer(response))["artifacts"][0]
    return artifact


def read_input_text(path: Path, field: str) -> str:
    """Read the text of a local file for a field of an agent's input.

    Raises `NotFound` (`file_not_found`) and `Invalid` (`not_text`, `too_large`).
    """
    path = path.expanduser()
    with _reading(path, field), path.open("rb") as opened:
        data = opened.read(MAX_TEXT_BYTES + 1)
    if len(data) > MAX_TEXT_BYTES:
        message = f"{field}: '{path}' is too large for an input: over {MAX_TEXT_BYTES} bytes."
        raise Invalid(message, code="too_large", details={"field": field})
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        message = f"{field}: '{path}' is not text in UTF-8."
        raise Invalid(message, code="not_text", details={"field": field}) from error


@contextmanager
def _reading(path: Path, field: str) -> Iterator[None]:
    """Put an error of opening or reading a file into words."""
    if not _exists(path):
        what = "is a folder, no file" if path.is_dir() else "is not there"
        raise NotFound(
            f"{field}: the file '{path}' {what}. A text that itself begins with '@' is written "
            "with '@@'.",
            code="file_not_found",
            details={"field": field},
        )
    try:
        yield
    except OSError as error:
        message = f"{field}: '{path}' cannot be read: {error.strerror}."
        raise Invalid(message, details={"field": field}) from error


async def save(client: httpx.AsyncClient, artifact: Mapping[str, Any], folder: Path) -> Path:
    """Write an artifact into a folder, under its name or one like it; whole or not at all.

    The artifact is fetched from the service alone, whatever address it claims. Raises `NotFound`
    (`artifact_not_found`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    part = temporary_path(folder)
    try:
        await download(client, address_of(artifact), part)
        name = safe_name(str(artifact.get("name") or ""), artifact["id"])
        return part.replace(_free_path(folder, name, part))
    finally:
        part.unlink(missing_ok=True)


def artifacts_in(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every artifact in a run's output, each once."""
    yielded: set[str] = set()
    pending = deque([value])
    while pending:
        item = pending.popleft()
        if is_artifact(item):
            if item["id"] not in yielded:
                yielded.add(item["id"])
                yield item
        elif isinstance(item, Mapping):
            pending += item.values()
        elif isinstance(item, list):
            pending += item


def is_artifact(value: Any) -> bool:
    """Tell whether a value of a run's output is an artifact; a model may have written any value."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("id"), str)
        and CONTENT_HASH.fullmatch(value["id"]) is not None
        and isinstance(value.get("media_type"), str)
        and isinstance(value.get("size_bytes"), int)
    )


def address_of(artifact: Mapping[str, Any]) -> str:
    """Return the path of an artifact at the service, which its id alone decides."""
    return f"/artifacts/{artifact['id']}"


def _free_path(folder: Path, name: str, new: Path) -> Path:
    """Find a path in the folder where there is nothing, or the same as in `new`."""
    stem, suffix = Path(name).stem, Path(name).suffix
    for number in range(1, 10_000):
        path = folder / (name if number == 1 else f"{stem}-{number}{suffix}")
        if not os.path.lexists(path) or _is_same(path, new):
            return path
    raise Invalid(f"'{folder}' holds too many files called '{name}'.")


def _is_same(path: Path, new: Path) -> bool:
    # Neither a link is followed, nor a device or a pipe read.
    return stat.S_ISREG(path.lstat().st_mode) and filecmp.cmp(path, new, shallow=False)


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a long text is no path
        return False
