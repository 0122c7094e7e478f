"""The worker that gets a repository of the Hub: goes on where one was broken off, and checks.

The Hub's own client starts each file anew after an interruption, and checks but its length. So
this fetches the files with the client's own parts into the client's own cache, and links them there
itself. Invariant: a snapshot holds files of one commit alone, each of the digest that the commit
lists.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
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
from huggingface_hub.file_download import _create_symlink, http_get, repo_folder_name
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils._headers import build_hf_headers

from config.errors import Unavailable
from models.pulls.files import HubFile, check_files, digest_of, select_files
from models.workers.host import TaskHandle

COMMIT = re.compile("[0-9a-f]{40}")
REPORT_EVERY_S = 0.2
TRIES = 2
"""Downloads of a file whose digest is wrong."""

Report = Callable[[dict[str, Any]], None]


class HubHandler:
    """The handler: `pull` emits progress, and ends when everything is here.

    Options: `allow_pickles`.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._allow_pickles = bool(options["allow_pickles"])
        self._api = HfApi()

    def handle(
        self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle
    ) -> tuple[dict[str, Any], bytes]:
        repository = header["repository"]
        try:
            return self._pull(repository, lambda progress: task.emit(progress)), b""
        except (HfHubHTTPError, httpx2.HTTPError, OfflineModeIsEnabled) as error:
            raise _translate(error, repository) from error

    def _pull(self, repository: str, report: Report) -> dict[str, Any]:
        report({"status": "listing files"})
        commit = self._api.repo_info(repository).sha
        if not commit or not COMMIT.fullmatch(commit):
            raise Unavailable(f"The Hub names no commit of '{repository}'.", code="model_missing")
        files = select_files(self._list_files(repository, commit))
        if not files:
            raise Unavailable(f"'{repository}' holds no model.", code="model_missing")
        check_files(repository, files, self._allow_pickles)
        folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(
            repo_id=repository, repo_type="model"
        )
        bar = PullProgress(report, sum(file.size for file in files))
        for file in files:
            bar.begin(file)
            _fetch(repository, commit, file, folder / "blobs", bar)
        _link(folder, commit, files)
        return {"status": "success", "completed": bar.total, "total": bar.total}

    def _list_files(self, repository: str, commit: str | None) -> list[HubFile]:
        tree = self._api.list_repo_tree(repository, recursive=True, revision=commit)
        return [
            HubFile(
                each.path,
                each.size,
                each.lfs.sha256 if each.lfs else each.blob_id,
                each.lfs is not None,
            )
            for each in tree
            if isinstance(each, RepoFile)
        ]


class PullProgress:
    """What `http_get` shows progress on, told on to the server's process."""

    def __init__(self, report: Report, total: int) -> None:
        self.total = total
        self._report = report
        self._before = self._of_file = 0
        self._file: HubFile | None = None
        self._reported_s = 0.0

    def begin(self, file: HubFile) -> None:
        """Go on to the next file; the last one is here."""
        self._before += self._file.size if self._file else 0
        self._file, self._of_file = file, 0
        self.update(0, now=True)

    def resume_at(self, size: int) -> None:
        """Count so much of the file as here before."""
        self._of_file = size
        self.update(0, now=True)

    def update(self, size: int, now: bool = False) -> None:
        self._of_file += size
        if now or time.monotonic() - self._reported_s > REPORT_EVERY_S:
            self._reported_s = time.monotonic()
            status = f"pulling {self._file.path}" if self._file else ""
            done = self._before + self._of_file
            self._report({"status": status, "completed": done, "total": self.total})

    def __enter__(self) -> PullProgress:
        return self

    def __exit__(self, *error: object) -> None:
        """Do nothing, as a progress bar that ends."""


def _link(folder: Path, commit: str, files: Sequence[HubFile]) -> None:
    """Let the checked files be the snapshot of their commit, and that the main revision.

    The client would ask for the main revision anew, which may be another by now.
    """
    snapshot = folder / "snapshots" / commit
    for file in files:
        link = snapshot / file.path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        _create_symlink(str(folder / "blobs" / file.digest), str(link), new_blob=False)
    main = folder / "refs" / "main"
    main.parent.mkdir(parents=True, exist_ok=True)
    new = main.with_name("main.motet")
    new.write_text(commit)
    os.replace(new, main)


def _fetch(
    repository: str, commit: str | None, file: HubFile, blobs: Path, bar: PullProgress
) -> None:
    """Get one file, unless it is here. One that is not what it should be is deleted."""
    blob = blobs / file.digest
    if blob.is_file():
        # Its name is a promise of whoever put it there.
        if blob.stat().st_size == file.size and digest_of(blob, file) == file.digest:
            return
        blob.unlink()
    blobs.mkdir(parents=True, exist_ok=True)
    part = blobs / f"{file.digest}.motet.incomplete"
    for last in range(1, TRIES + 1):
        _download(hf_hub_url(repository, file.path, revision=commit), file, part, bar)
        if (digest := digest_of(part, file)) == file.digest:
            os.replace(part, blob)
            return
        part.unlink()
        if last == TRIES:
            raise Unavailable(
                f"{file.path} of '{repository}' arrived damaged {TRIES} times; it was deleted. "
                "Try again later.",
                code="digest_mismatch",
                details={"file": file.path, "wanted": file.digest, "found": digest},
            )


def _download(url: str, file: HubFile, part: Path, bar: PullProgress) -> None:
    present_bytes = part.stat().st_size if part.is_file() else 0
    if present_bytes > file.size:
        part.unlink()
        present_bytes = 0
    bar.resume_at(present_bytes)
    with part.open("ab") as target:
        http_get(
            url,
            target,
            resume_size=present_bytes,
            headers=build_hf_headers(),
            expected_size=file.size,
            _tqdm_bar=bar,
        )


def _translate(error: Exception, repository: str) -> Unavailable:
    details = {"repository": repository}
    for refusal in _REFUSALS:
        if isinstance(error, refusal.error):
            message = refusal.message.format(repository=repository)
            return Unavailable(message, code=refusal.code, details=details)
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
