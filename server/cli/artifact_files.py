"""Files between here and the service: those of an agent's input, and those of its output."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from config.errors import Invalid, NotFound
from server.cli.client import download, read_answer

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
    """Write an artifact into a folder, under its name or one like it; whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{artifact['id']}.part"
    try:
        await download(client, str(artifact["url"]), part)
        # Whoever named the artifact may have written a path: the file stays in the folder.
        name = Path(str(artifact.get("name") or "")).name
        file_name = name if name not in ("", "..") else str(artifact["id"])
        return part.replace(_free_path(folder, file_name, part))
    finally:
        part.unlink(missing_ok=True)


def artifacts_in(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every artifact in a run's output, each once."""
    yielded: set[str] = set()
    pending = [value]
    while pending:
        item = pending.pop(0)
        if is_artifact(item):
            if item["id"] not in yielded:
                yielded.add(item["id"])
                yield item
        elif isinstance(item, Mapping):
            pending += item.values()
        elif isinstance(item, list):
            pending += item


def is_artifact(value: Any) -> bool:
    """Tell whether a value of a run's output is an artifact."""
    return isinstance(value, Mapping) and {"id", "url", "media_type", "size_bytes"} <= set(value)


def _free_path(folder: Path, name: str, new: Path) -> Path:
    """Find a path in the folder where there is nothing, or the same as in `new`."""
    stem, suffix = Path(name).stem, Path(name).suffix
    for number in range(1, 10_000):
        path = folder / (name if number == 1 else f"{stem}-{number}{suffix}")
        if not path.exists() or path.read_bytes() == new.read_bytes():
            return path
    raise Invalid(f"'{folder}' holds too many files called '{name}'.")


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
