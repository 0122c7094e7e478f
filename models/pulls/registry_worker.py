"""The worker that gets a model of a registry which speaks Ollama's protocol, without Ollama.

The protocol is that of OCI registries: a manifest by its tag, and blobs by their digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

from config.errors import MotetError, NotFound, Unavailable
from config.redaction import redact_urls
from models.pulls.download import BEYOND_END, PARTIAL, WHOLE, fetch_file, require_room
from models.pulls.files import RemoteFile
from models.pulls.manifest import MAX_SMALL_BYTES, PARAMS, Layer, Manifest, parse_manifest
from models.pulls.progress import PullProgress, Report
from models.pulls.registry_store import RegistryStore
from models.workers.host import TaskHandle

SILENCE_S = 60.0
MANIFEST_TYPES = ", ".join(
    (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
    )
)
MISSING, REFUSED = (404,), (401, 403)


class RegistryHandler:
    """The handler: `pull` emits progress, and ends when everything is here; `list` says how much
    that is, and with which parameters it is sampled.

    Options: `folder`, that of the store. Headers have `registry`, `host`, `name` and `tag`.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._store = RegistryStore(Path(options["folder"]))

    def handle(
        self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle
    ) -> tuple[dict[str, Any], bytes]:
        label = f"{header['name']}:{header['tag']}"
        try:
            with httpx2.Client(
                base_url=f"{header['registry']}/v2/{header['name']}/",
                timeout=SILENCE_S,
                follow_redirects=True,
            ) as client:
                data = _read_manifest(client, header["tag"])
                manifest = parse_manifest(data, label)
                if method == "list":
                    sizes = [each.size for each in manifest.loaded_layers]
                    return {"bytes": sum(sizes), "params": _read_params(client, manifest)}, b""
                self._pull(client, manifest, lambda progress: task.emit(progress))
                self._store.write_manifest(header["host"], header["name"], header["tag"], data)
                total = sum(each.size for each in manifest.loaded_layers)
                return {"status": "success", "completed": total, "total": total}, b""
        except httpx2.HTTPError as error:
            raise _translate(error, label) from error

    def _pull(self, client: httpx2.Client, manifest: Manifest, report: Report) -> None:
        files = [(_as_file(each), self._store.blob(each)) for each in manifest.loaded_layers]
        require_room(self._store.blobs, files)
        progress = PullProgress(report, sum(file.size for file, _ in files))
        for file, blob in files:
            progress.begin(file)
            fetch_file(file, blob, partial(_ask, client, f"blobs/sha256:{file.digest}"), progress)


def _as_file(layer: Layer) -> RemoteFile:
    path = f"{layer.mediaType.rpartition('.')[2]} {layer.sha256[:12]}"
    return RemoteFile(path, layer.size, layer.sha256, large=True)


def _read_manifest(client: httpx2.Client, tag: str) -> bytes:
    return _read_small(client, f"manifests/{tag}", {"Accept": MANIFEST_TYPES})


def _read_params(client: httpx2.Client, manifest: Manifest) -> str:
    """Read the sampling parameters of a model; empty where it has none, or others than declared."""
    for layer in manifest.of_kind(PARAMS):
        data = _read_small(client, f"blobs/{layer.digest}", {})
        if hashlib.sha256(data).hexdigest() == layer.sha256:
            return data.decode(errors="replace")
    return ""


def _read_small(client: httpx2.Client, path: str, headers: Mapping[str, str]) -> bytes:
    with _ask(client, path, headers) as answer:
        data = b""
        for piece in answer.iter_bytes():
            data += piece
            if len(data) > MAX_SMALL_BYTES:
                raise Unavailable(
                    f"The registry's {path} has more than {MAX_SMALL_BYTES} bytes. Nothing of it "
                    "was taken.",
                    code="pull_failed",
                )
        return data


@contextmanager
def _ask(client: httpx2.Client, path: str, headers: Mapping[str, str]) -> Iterator[httpx2.Response]:
    with client.stream("GET", path, headers=dict(headers)) as answer:
        if answer.status_code not in (WHOLE, PARTIAL, BEYOND_END):
            answer.raise_for_status()
        yield answer


def _translate(error: httpx2.HTTPError, label: str) -> MotetError:
    status = error.response.status_code if isinstance(error, httpx2.HTTPStatusError) else None
    if status in MISSING:
        return NotFound(
            f"The registry has no model '{label}'. See ollama.com/library for names and tags.",
            code="model_not_found",
            details={"field": "source", "model": label},
        )
    if status in REFUSED:
        return Unavailable(
            f"The registry does not give '{label}' without an account ({status}).",
            code="registry_forbidden",
            details={"model": label},
        )
    reason = redact_urls(str(error)) or type(error).__name__
    return Unavailable(
        f"The registry of '{label}' cannot be reached, or fails: {reason}",
        code="registry_unreachable",
        details={"model": label},
    )
