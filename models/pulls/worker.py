"""The worker that gets a repository of the Hub, or one model of it, into the Hub's own cache.

The Hub's own client starts each file anew after an interruption, and checks but its length. So
this asks for the files with the client's own parts, and links them in the client's cache itself.
Invariant: a snapshot holds files of one commit alone, each of the digest that the commit lists.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.file_download import _create_symlink, repo_folder_name
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils._headers import build_hf_headers
from huggingface_hub.utils._http import get_session, hf_raise_for_status

from config.errors import NotFound, Unavailable
from models.pulls.download import BEYOND_END, fetch_file, require_room
from models.pulls.files import RemoteFile, check_files, select_files
from models.pulls.gguf_files import list_quantisations, select_gguf
from models.pulls.progress import PullProgress, Report
from models.workers.host import TaskHandle

COMMIT = re.compile("[0-9a-f]{40}")
SILENCE_S = 60.0
MAX_CONFIG_BYTES = 2**20
MAIN = Path("refs", "main")


class HubHandler:
    """The handler: `pull` emits progress, and ends when everything is here; `list` lists files.

    Options: `allow_pickles`. A header with `gguf`, {"file", "quantisation"}, is about one model of
    the repository.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._allow_pickles = bool(options["allow_pickles"])
        self._api = HfApi()

    def handle(
        self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle
    ) -> tuple[dict[str, Any], bytes]:
        repository, gguf = header["repository"], header.get("gguf")
        try:
            if method == "list":
                return self._describe(repository), b""
            return self._pull(repository, gguf, lambda progress: task.emit(progress)), b""
        except (HfHubHTTPError, httpx2.HTTPError, OfflineModeIsEnabled) as error:
            raise _translate(error, repository) from error

    def _pull(
        self, repository: str, gguf: Mapping[str, str] | None, report: Report
    ) -> dict[str, Any]:
        report({"status": "listing files"})
        commit = self._find_commit(repository)
        listed = self._list_files(repository, commit)
        files = _select_model(repository, listed, gguf) if gguf else select_files(listed)
        if not files:
            raise Unavailable(f"'{repository}' holds no model.", code="model_missing")
        check_files(repository, files, self._allow_pickles)
        folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(
            repo_id=repository, repo_type="model"
        )
        blobs = folder / "blobs"
        require_room(blobs, [(file, blobs / file.digest) for file in files])
        progress = PullProgress(report, sum(file.size for file in files))
        for file in files:
            progress.begin(file)
            ask = partial(_ask, hf_hub_url(repository, file.path, revision=commit))
            fetch_file(file, blobs / file.digest, ask, progress)
        _link(folder, commit, files)
        if not (gguf and (folder / MAIN).exists()):
            # One model beside others: they stay those of the main revision.
            _set_main(folder, commit)
        return {"status": "success", "completed": progress.total, "total": progress.total}

    def _describe(self, repository: str) -> dict[str, Any]:
        commit = self._find_commit(repository)
        files = self._list_files(repository, commit)
        names = {file.path for file in files}
        config = self._read_config(repository, commit) if "config.json" in names else b""
        listed = [{"path": file.path, "size": file.size} for file in files]
        return {"files": listed, "config": config.decode(errors="replace")}

    def _find_commit(self, repository: str) -> str:
        commit = self._api.repo_info(repository).sha
        if not commit or not COMMIT.fullmatch(commit):
            raise Unavailable(f"The Hub names no commit of '{repository}'.", code="model_missing")
        return commit

    def _list_files(self, repository: str, commit: str) -> list[RemoteFile]:
        tree = self._api.list_repo_tree(repository, recursive=True, revision=commit)
        return [
            RemoteFile(
                each.path,
                each.size,
                each.lfs.sha256 if each.lfs else each.blob_id,
                each.lfs is not None,
            )
            for each in tree
            if isinstance(each, RepoFile)
        ]

    def _read_config(self, repository: str, commit: str) -> bytes:
        with _ask(hf_hub_url(repository, "config.json", revision=commit), {}) as answer:
            read = b""
            for piece in answer.iter_bytes():
                read += piece
                if len(read) > MAX_CONFIG_BYTES:
                    break
        return read[:MAX_CONFIG_BYTES]


def _select_model(
    repository: str, files: Sequence[RemoteFile], gguf: Mapping[str, str]
) -> list[RemoteFile]:
    """Select the files of one GGUF model. Raises `NotFound` listing what there is instead."""
    by_path = {file.path: file for file in files}
    selected = select_gguf(list(by_path), gguf["file"], gguf["quantisation"])
    if selected is None:
        named = gguf["file"] or gguf["quantisation"] or "a GGUF file"
        present = ", ".join(list_quantisations(list(by_path))[:20])
        raise NotFound(
            f"'{repository}' has no {named}. "
            + (f"It has {present}." if present else "It has no GGUF files at all."),
            code="model_not_found",
            details={"field": "source", "repository": repository},
        )
    return [by_path[path] for path in selected.paths]


@contextmanager
def _ask(url: str, headers: Mapping[str, str]) -> Iterator[httpx2.Response]:
    every = {**build_hf_headers(), **headers}
    with get_session().stream("GET", url, headers=every, timeout=SILENCE_S) as answer:
        if answer.status_code != BEYOND_END:
            hf_raise_for_status(answer)
        yield answer


def _link(folder: Path, commit: str, files: Sequence[RemoteFile]) -> None:
    """Let the checked files be in the snapshot of their commit."""
    snapshot = folder / "snapshots" / commit
    for file in files:
        link = snapshot / file.path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        _create_symlink(str(folder / "blobs" / file.digest), str(link), new_blob=False)


def _set_main(folder: Path, commit: str) -> None:
    """Let a commit be the main revision: the client would ask for it anew, and get a later one."""
    main = folder / MAIN
    main.parent.mkdir(parents=True, exist_ok=True)
    new = main.with_name("main.motet")
    new.write_text(commit)
    os.replace(new, main)


def _translate(error: Exception, repository: str) -> Unavailable:
    details = {"repository": repository}
    for refusal in _REFUSALS:
        if isinstance(error, refusal.error):
            message = refusal.message.format(repository=repository)
            return Unavailable(message, code=refusal.code, details=details)
    if isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403):
        message = f"The Hub does not give '{repository}' without an account: set HF_TOKEN."
        return Unavailable(message, code="hub_forbidden", details=details)
    message = f"The Hub cannot be reached, or fails: {error}".strip()
    return Unavailable(message, code="hub_unreachable", details=details)


class _Refusal(NamedTuple):
    """What an error of the Hub's client means for us."""

    error: type[Exception]
    code: str
    message: str


_REFUSALS = (
    _Refusal(
        GatedRepoError,
        code="hub_forbidden",
        message="The Hub asks for consent to the terms of '{repository}': give it on its page, "
        "and set HF_TOKEN.",
    ),
    _Refusal(
        RepositoryNotFoundError,
        code="model_missing",
        message="The Hub has no repository '{repository}' that may be read. Set HF_TOKEN if it "
        "is private.",
    ),
    _Refusal(
        OfflineModeIsEnabled,
        code="hub_unreachable",
        message="HF_HUB_OFFLINE is set, so the Hub is not asked. Unset it to pull.",
    ),
)
