"""Files between here and the service: those of an agent's input, and those of its output."""

from __future__ import annotations

import filecmp
import mimetypes
import os
import stat
from collections import deque
from collections.abc import Iterator, Mapping
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

    In a field that takes text the file's text is put instead. Gives the input to send. Raises
    `NotFound` (`file_not_found`) and `Invalid` (`not_text`, `too_large`).
    """
    prepared = dict(values)
    for name, field in schema.get("properties", {}).items():
        value = prepared.get(name)
        if not isinstance(value, str):
            continue
        is_file = field.get("format") in FILE_FORMATS
        path = Path(value.removeprefix("@")).expanduser()
        if is_file and (value.startswith("@") or _exists(path)):
            prepared[name] = await upload(client, path)
        elif value.startswith("@") and field.get("type") == "string" and _exists(path):
            prepared[name] = _read_text(path)
    return prepared


async def upload(client: httpx.AsyncClient, path: Path) -> dict[str, Any]:
    """Upload a local file and give its artifact. Raises `NotFound` (`file_not_found`)."""
    if not _exists(path):
        raise NotFound(f"There is no file '{path}'.", code="file_not_found")
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    with path.open("rb") as opened:
        response = await client.post("/artifacts", files={"files": (path.name, opened, kind)})
    artifact: dict[str, Any] = (await read_answer(response))["artifacts"][0]
    return artifact


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


def _read_text(path: Path) -> str:
    data = path.read_bytes()
    if len(data) > MAX_TEXT_BYTES:
        raise Invalid(f"'{path}' is too large for an input: {len(data)} bytes.", code="too_large")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"'{path}' is not text in UTF-8.", code="not_text") from error


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a long text is no path
        return False
