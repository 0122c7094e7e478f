"""`motet index add` and `motet index ls`: adding documents to an index, and listing them.

What the service may not read itself is uploaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
from rich.console import Console

from config.errors import Invalid, MotetError, NotFound
from config.settings import Settings
from indexes.ingestion.walk import WalkedFile, walk
from server.cli.client import connect, follow_work, read_answer
from server.cli.console import ProgressBar, progress_bar, say
from server.cli.search_output import parse_value

MAX_BATCH_FILES = 100
MAX_BATCH_BYTES = 16 * 2**20
"""Files are uploaded in batches, which are smaller than an upload may be by default."""
PAGE_LENGTH = 1000
COUNTS = ("added", "changed", "unchanged", "removed", "passages")


@dataclass(frozen=True)
class IngestSource:
    """What is to be indexed: a folder, a file, a URL, or what `body` says. `shown` names it."""

    shown: str
    body: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def parse_metadata(pairs: Sequence[str]) -> dict[str, Any]:
    """Parse the metadata of `name=value` pairs. Raises `Invalid`."""
    metadata = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise Invalid(f"'{pair}' is no metadata: write name=value.")
        metadata[name] = parse_value(value)
    return metadata


async def add_sources(
    settings: Settings, name: str, sources: Sequence[IngestSource], console: Console
) -> bool:
    """Index each source into `name`, made when it is new; gives whether every document was read.

    Without sources, the folders that the index declares.
    """
    async with connect(settings) as client:
        response = await client.get(f"/indexes/{name}")
        if response.status_code == 404 and sources:
            response = await client.post("/indexes", json={"name": name})
        index = await read_answer(response)
        if not sources and not index["folders"]:
            raise Invalid(f"The index '{name}' declares no folders: say what to index.")
        declared = [IngestSource(", ".join(index["folders"]), {})]
        # A service elsewhere has other folders.
        is_local = settings.server_url is None
        reports = [
            await _add(client, name, source, console, is_local) for source in sources or declared
        ]
    return not any(report["failed"] for report in reports)


async def _add(
    client: httpx.AsyncClient, name: str, source: IngestSource, console: Console, is_local: bool
) -> dict[str, Any]:
    report = await ingest(client, name, source, console, is_local=is_local)
    counts = ", ".join(f"{report[key]} {key}" for key in COUNTS)
    console.print(f"{source.shown}: {counts}")
    if report.get("skipped"):
        console.print(f"{report['skipped']} addresses were left out")
    if stopped := report.get("stopped"):
        say(console, (f"stopped at the bound {stopped}: the site has more", "yellow"))
    for problem in report["failed"]:
        say(console, (f"{problem['source']}: {problem['message']}", "red"))
    return report


async def ingest(
    client: httpx.AsyncClient,
    name: str,
    source: IngestSource,
    console: Console,
    *,
    is_local: bool = True,
) -> dict[str, Any]:
    """Index one source, show its progress, and give the report.

    Raises `NotFound` (`file_not_found`) for a path that is not there.
    """
    path = Path(source.shown).expanduser()
    with progress_bar(console, "indexing") as bar:
        upload = _Upload(client, f"/indexes/{name}/documents", source.metadata, bar)
        if source.body == {}:
            return await follow_work(client, f"/indexes/{name}/refresh", upload.show)
        if source.body is not None:
            return await upload.send_json(source.body)
        if source.shown.startswith(("http://", "https://")):
            return await upload.send_json({"url": source.shown, "metadata": source.metadata})
        if path.is_dir():
            return await _add_folder(upload, path, is_local)
        if path.is_file():
            return await upload.send_files([(path.name, path)])
    raise NotFound(f"There is no folder or file '{source.shown}'.", code="file_not_found")


@dataclass(frozen=True)
class _Upload:
    """Sends documents of one source to an index."""

    client: httpx.AsyncClient
    path: str
    metadata: Mapping[str, Any]
    bar: ProgressBar

    def show(self, progress: Mapping[str, Any]) -> None:
        files = f"{progress['files_done']}/{progress['files_total']} files"
        self.bar.update(progress["passages_done"], progress["passages_total"], files)

    async def send_json(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return await follow_work(self.client, self.path, self.show, json=body)

    async def send_files(
        self,
        files: Sequence[tuple[str, Path]],
        on_progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        form = {"metadata": orjson.dumps(self.metadata).decode()} if self.metadata else {}
        parts = [("files", (name, file.read_bytes())) for name, file in files]
        show = on_progress or self.show
        return await follow_work(self.client, self.path, show, files=parts, data=form)


async def _add_folder(upload: _Upload, folder: Path, is_local: bool) -> dict[str, Any]:
    """Have the service read the folder, or upload it where the service may not."""
    if is_local and not upload.metadata:
        try:
            return await upload.send_json({"folder": str(folder.resolve())})
        except MotetError as error:
            if error.code != "forbidden":
                raise
    return await _upload_folder(upload, folder.resolve())


async def _upload_folder(upload: _Upload, folder: Path) -> dict[str, Any]:
    """Upload the files of a folder in batches, and join their reports."""
    walked = walk(folder)
    whole: dict[str, Any] = dict.fromkeys(COUNTS, 0)
    whole["failed"] = [
        {"source": each.source, "code": each.code, "message": each.message}
        for each in walked.failed
    ]
    done = 0
    for batch in _batches(walked.files):
        try:
            files = [(file.source, file.path) for file in batch]
            report = await upload.send_files(files, lambda progress: None)
        except MotetError as error:
            if len(batch) > 1:
                raise
            # The answer to a single file is its error; to several, a report that lists it.
            problem = {"source": batch[0].source, "code": error.code, "message": error.message}
            whole["failed"].append(problem)
        else:
            for key in COUNTS:
                whole[key] += report[key]
            whole["failed"] += report["failed"]
        done += len(batch)
        count = f"{done}/{len(walked.files)} files"
        upload.bar.update(done, len(walked.files), count)
    return whole


def _batches(files: Sequence[WalkedFile]) -> Iterator[list[WalkedFile]]:
    batch: list[WalkedFile] = []
    for file in files:
        size_bytes = sum(each.size_bytes for each in batch) + file.size_bytes
        if batch and (len(batch) == MAX_BATCH_FILES or size_bytes > MAX_BATCH_BYTES):
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


async def list_documents(
    settings: Settings, name: str, where: Mapping[str, Any] | None
) -> dict[str, Any]:
    """List every document of an index, or those that the filter chooses."""
    documents: list[Any] = []
    params: dict[str, Any] = {"limit": PAGE_LENGTH}
    if where:
        params["where"] = orjson.dumps(where).decode()
    async with connect(settings) as client:
        while True:
            page = await read_answer(
                await client.get(
                    f"/indexes/{name}/documents", params={**params, "offset": len(documents)}
                )
            )
            documents += page["documents"]
            if len(page["documents"]) < PAGE_LENGTH:
                return {"documents": documents}
