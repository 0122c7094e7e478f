"""Files between here and the service: what a run is given, and what it made."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from config.errors import Invalid, NotFound
from server.cli.client import answer, failure

FILES = ("image", "audio", "file")
MAX_TEXT_BYTES = 2 * 2**20


async def with_files(
    client: httpx.AsyncClient, schema: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """An agent's input with the files that it names, as in `picture=@photo.jpg`, sent to the
    service; of a field that takes text the file's text. Raises `Invalid` for what is no file."""
    found = dict(given)
    for name, field in schema.get("properties", {}).items():
        value = found.get(name)
        if not isinstance(value, str):
            continue
        is_file = field.get("format") in FILES
        path = Path(value.removeprefix("@")).expanduser()
        if is_file and (value.startswith("@") or _exists(path)):
            found[name] = await upload(client, path)
        elif value.startswith("@") and field.get("type") == "string" and _exists(path):
            found[name] = _text(path)
    return found


async def upload(client: httpx.AsyncClient, path: Path) -> dict[str, Any]:
    """A local file as an artifact. Raises `NotFound` (`file_not_found`)."""
    if not _exists(path):
        raise NotFound(f"There is no file '{path}'.", code="file_not_found")
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    with path.open("rb") as opened:
        response = await client.post("/artifacts", files={"files": (path.name, opened, kind)})
    artifact: dict[str, Any] = (await answer(response))["artifacts"][0]
    return artifact


async def save(client: httpx.AsyncClient, artifact: Mapping[str, Any], folder: Path) -> Path:
    """Write an artifact into a folder, under its name or one like it; whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{artifact['id']}.part"
    try:
        async with client.stream("GET", str(artifact["url"])) as response:
            if response.is_error:
                raise await failure(response)
            with part.open("wb") as written:
                async for chunk in response.aiter_bytes():
                    written.write(chunk)
        # Whoever named it may have written a path: what is saved stays in the folder.
        name = Path(str(artifact.get("name") or "")).name
        named = name if name not in ("", "..") else str(artifact["id"])
        return part.replace(_free(folder, named, part))
    finally:
        part.unlink(missing_ok=True)


def artifacts_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every artifact that stands in a run's output, each once."""
    seen: set[str] = set()
    open_ = [value]
    while open_:
        item = open_.pop(0)
        if is_artifact(item):
            if item["id"] not in seen:
                seen.add(item["id"])
                yield item
        elif isinstance(item, Mapping):
            open_ += item.values()
        elif isinstance(item, list):
            open_ += item


def is_artifact(value: Any) -> bool:
    """Whether a value of a run's output is an artifact."""
    return isinstance(value, Mapping) and {"id", "url", "media_type", "size_bytes"} <= set(value)


def _free(folder: Path, name: str, new: Path) -> Path:
    """A path in the folder that holds nothing else than what is new."""
    stem, suffix = Path(name).stem, Path(name).suffix
    for number in range(1, 10_000):
        path = folder / (name if number == 1 else f"{stem}-{number}{suffix}")
        if not path.exists() or path.read_bytes() == new.read_bytes():
            return path
    raise Invalid(f"'{folder}' holds too many files called '{name}'.")


def _text(path: Path) -> str:
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
