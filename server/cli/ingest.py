"""Filling an index from the command line: what the service may not read itself is uploaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from config.errors import Invalid, MotetError, NotFound, Unavailable
from config.settings import Settings
from indexes.ingestion.walk import WalkedFile, walk
from server.cli.client import answer, connect, events
from server.cli.console import say
from server.cli.search_output import typed_value

BATCH_FILES, BATCH_BYTES = 100, 16 * 2**20
LISTED_AT_ONCE = 1000
COUNTED = ("added", "changed", "unchanged", "removed", "passages")

Advance = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Source:
    """What is to be indexed: a folder, a file, a URL, or what `body` says. `shown` names it."""

    shown: str
    body: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def metadata_of(pairs: Sequence[str]) -> dict[str, Any]:
    """The metadata of `name=value` pairs. Raises `Invalid`."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise Invalid(f"'{pair}' is no metadata: write name=value.")
        found[name] = typed_value(value)
    return found


async def add_sources(
    settings: Settings, name: str, sources: Sequence[Source], console: Console
) -> bool:
    """Index each source into `name`, made when it is new; whether every document was read.

    Without sources, the folders that the index declares.
    """
    async with connect(settings) as client:
        response = await client.get(f"/indexes/{name}")
        if response.status_code == 404 and sources:
            response = await client.post("/indexes", json={"name": name})
        index = await answer(response)
        if not sources and not index["folders"]:
            raise Invalid(f"The index '{name}' declares no folders: say what to index.")
        wanted = sources or [Source(", ".join(index["folders"]), {})]
        # A service elsewhere has other folders.
        near = settings.server_url is None
        reports = [await _add(client, name, source, console, near) for source in wanted]
    return not any(report["failed"] for report in reports)


async def _add(
    client: httpx.AsyncClient, name: str, source: Source, console: Console, near: bool
) -> dict[str, Any]:
    report = await ingest(client, name, source, console, near=near)
    counts = ", ".join(f"{report[key]} {key}" for key in COUNTED)
    console.print(f"{source.shown}: {counts}")
    if report.get("skipped"):
        console.print(f"{report['skipped']} addresses were left out")
    if stopped := report.get("stopped"):
        say(console, (f"stopped at the bound {stopped}: the site has more", "yellow"))
    for problem in report["failed"]:
        say(console, (f"{problem['source']}: {problem['message']}", "red"))
    return report


async def ingest(
    client: httpx.AsyncClient, name: str, source: Source, console: Console, *, near: bool = True
) -> dict[str, Any]:
    """The report of indexing one source, its progress shown meanwhile."""
    path = Path(source.shown).expanduser()
    documents = f"/indexes/{name}/documents"
    with _bar(console) as advance:
        if source.body == {}:
            return await _told(client, f"/indexes/{name}/refresh", {}, advance)
        if source.body is not None:
            return await _told(client, documents, {"json": source.body}, advance)
        if source.shown.startswith(("http://", "https://")):
            body = {"url": source.shown, "metadata": source.metadata}
            return await _told(client, documents, {"json": body}, advance)
        if path.is_dir():
            return await _folder(client, documents, path, source.metadata, advance, near)
        if path.is_file():
            files = [("files", (path.name, path.read_bytes()))]
            return await _told(client, documents, _form(files, source.metadata), advance)
    raise NotFound(f"There is no folder or file '{source.shown}'.", code="file_not_found")


async def _folder(
    client: httpx.AsyncClient,
    path: str,
    folder: Path,
    metadata: Mapping[str, Any],
    advance: Advance,
    near: bool,
) -> dict[str, Any]:
    if near and not metadata:
        try:
            return await _told(client, path, {"json": {"folder": str(folder.resolve())}}, advance)
        except MotetError as error:
            if error.code != "forbidden":
                raise
    return await _uploaded(client, path, folder.resolve(), metadata, advance)


async def _uploaded(
    client: httpx.AsyncClient,
    path: str,
    folder: Path,
    metadata: Mapping[str, Any],
    advance: Advance,
) -> dict[str, Any]:
    """The files of a folder sent in batches; their reports joined."""
    listing = walk(folder)
    whole: dict[str, Any] = dict.fromkeys(COUNTED, 0)
    whole["failed"] = [
        {"source": each.source, "code": each.code, "message": each.message}
        for each in listing.failed
    ]
    done = 0
    for batch in _batches(listing.files):
        files = [("files", (file.source, file.path.read_bytes())) for file in batch]
        try:
            report = await _told(client, path, _form(files, metadata), _ignored)
        except MotetError as error:
            if len(batch) > 1:
                raise
            # Of one file the answer is its error.
            problem = {"source": batch[0].source, "code": error.code, "message": error.message}
            whole["failed"].append(problem)
        else:
            for key in COUNTED:
                whole[key] += report[key]
            whole["failed"] += report["failed"]
        done += len(batch)
        advance(done, len(listing.files), f"{done}/{len(listing.files)} files")
    return whole


def _batches(files: Sequence[WalkedFile]) -> Iterator[list[WalkedFile]]:
    batch: list[WalkedFile] = []
    for file in files:
        size = sum(each.size_bytes for each in batch) + file.size_bytes
        if batch and (len(batch) == BATCH_FILES or size > BATCH_BYTES):
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


def _form(files: Any, metadata: Mapping[str, Any]) -> dict[str, Any]:
    data = {"metadata": orjson.dumps(metadata).decode()} if metadata else {}
    return {"files": files, "data": data}


async def _told(
    client: httpx.AsyncClient, path: str, request: dict[str, Any], advance: Advance
) -> dict[str, Any]:
    """The report of an ingest. Raises its error."""
    headers = {"Accept": "text/event-stream"}
    async with client.stream("POST", path, headers=headers, **request) as response:
        async for event in events(response):
            data = event.data
            if event.type == "progress":
                shown = f"{data['files_done']}/{data['files_total']} files"
                advance(data["passages_done"], data["passages_total"], shown)
            elif event.type == "failed":
                raise MotetError.from_dict(data)
            elif event.type == "finished":
                return data
    raise Unavailable("The server ended the answer early.", code="invalid_response")


@contextmanager
def _bar(console: Console) -> Iterator[Advance]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("indexing", total=None)

        def advance(done: int, total: int, shown: str) -> None:
            bar.update(task, description=shown, completed=done, total=total or None)

        yield advance


def _ignored(done: int, total: int, shown: str) -> None:
    return


async def all_documents(
    settings: Settings, name: str, where: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Every document of an index, or those that the filter chooses."""
    found: list[Any] = []
    params: dict[str, Any] = {"limit": LISTED_AT_ONCE}
    if where:
        params["where"] = orjson.dumps(where).decode()
    async with connect(settings) as client:
        while True:
            page = await answer(
                await client.get(
                    f"/indexes/{name}/documents", params={**params, "offset": len(found)}
                )
            )
            found += page["documents"]
            if len(page["documents"]) < LISTED_AT_ONCE:
                return {"documents": found}
