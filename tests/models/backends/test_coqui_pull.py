"""Released models of coqui-tts are pulled from where their archive is."""

from __future__ import annotations

import hashlib
import shutil
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route

from config.errors import Invalid, NotFound, Unavailable
from models.backends.coqui.options import CoquiOptions
from models.backends.coqui.pull import get, pull
from models.backends.coqui.sources import Release, why_missing
from tests.support.server import ServerThread

NAME = "tts_models/xx/made/vits"
FILES = {"config.json": b"{}", "model_file.pth": b"weights" * 20_000}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    file = tmp_path / "served.zip"
    with zipfile.ZipFile(file, "w") as written:
        for name, data in FILES.items():
            written.writestr(f"tts_models--xx--made--vits/{name}", data)
    return file


@pytest.fixture
def asked() -> list[str | None]:
    """The range of each request."""
    return []


@pytest.fixture
def url(archive: Path, asked: list[str | None]) -> Iterator[str]:
    async def served(request: Any) -> FileResponse:
        asked.append(request.headers.get("range"))
        return FileResponse(archive)

    server = ServerThread(Starlette(routes=[Route("/vits.zip", served)]))
    server.start()
    yield f"{server.url}/vits.zip"
    server.stop()


@pytest.fixture
def release(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    monkeypatch.setenv("TTS_HOME", str(tmp_path))
    return Release(NAME, {"github_rls_url": url, "license": "MIT"})


async def test_an_archive_is_pulled_and_unpacked_with_progress(release: Release) -> None:
    told: list[dict[str, Any]] = []
    await get(release, lambda news: told.append(dict(news)))
    assert release.folder == release.archive_folder
    found = {file.name: file.read_bytes() for file in release.archive_folder.iterdir()}
    assert found == FILES
    assert told[0] == {"status": "license: MIT"}
    counted = [news["completed"] for news in told if "completed" in news]
    assert counted == sorted(counted)
    assert counted[-1] == told[1]["total"]
    left = {file.name for file in release.archive_folder.parent.iterdir()}
    assert left == {release.archive_folder.name, f"{release.archive_folder.name}.sha256"}


async def test_a_pull_that_was_broken_off_goes_on(
    release: Release, archive: Path, asked: list[str | None]
) -> None:
    release.archive_folder.parent.mkdir(parents=True)
    part = release.archive_folder.with_name(f"{release.archive_folder.name}.zip.part")
    part.write_bytes(archive.read_bytes()[:300])
    await get(release, lambda news: None)
    assert asked == ["bytes=300-"]
    assert (release.archive_folder / "model_file.pth").read_bytes() == FILES["model_file.pth"]


async def test_one_of_which_all_is_there_is_only_unpacked(release: Release, archive: Path) -> None:
    release.archive_folder.parent.mkdir(parents=True)
    part = release.archive_folder.with_name(f"{release.archive_folder.name}.zip.part")
    part.write_bytes(archive.read_bytes())
    await get(release, lambda news: None)
    assert release.folder


async def test_a_broken_archive_is_deleted_and_the_next_pull_begins_anew(
    release: Release, archive: Path
) -> None:
    whole = archive.read_bytes()
    archive.write_bytes(whole[:400] + b"\0" * 40 + whole[440:])
    with pytest.raises(Unavailable) as caught:
        await get(release, lambda news: None)
    assert caught.value.code == "digest_mismatch"
    assert list(release.archive_folder.parent.iterdir()) == []
    archive.write_bytes(whole)
    await get(release, lambda news: None)
    assert release.folder


async def test_archive_that_is_not_the_pinned_one_is_refused(release: Release) -> None:
    with pytest.raises(Unavailable, match="pinned") as caught:
        await get(release, lambda news: None, "0" * 64)

    assert caught.value.code == "digest_mismatch"
    assert list(release.archive_folder.parent.iterdir()) == []


async def test_archive_that_was_replaced_since_it_was_pulled_first_is_refused(
    release: Release, archive: Path
) -> None:
    await get(release, lambda news: None)
    shutil.rmtree(release.archive_folder)
    with zipfile.ZipFile(archive, "a") as written:
        written.writestr("more.pth", b"other weights")

    with pytest.raises(Unavailable, match="pinned"):
        await get(release, lambda news: None)

    await get(release, lambda news: None, hashlib.sha256(archive.read_bytes()).hexdigest())
    assert release.folder


def special(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


HOSTILE: dict[str, list[tuple[str | zipfile.ZipInfo, bytes]]] = {
    "absolute": [("/etc/model.pth", b"x")],
    "above": [("../../model.pth", b"x")],
    "windows": [("..\\..\\model.pth", b"x")],
    "drive": [("C:\\model.pth", b"x")],
    "link": [(special("model.pth", stat.S_IFLNK | 0o777), b"/etc/passwd")],
    "device": [(special("model.pth", stat.S_IFCHR | 0o666), b"")],
    "twice": [("a/model.pth", b"x"), ("b/MODEL.pth", b"y")],
    "many": [(f"{number}.txt", b"") for number in range(1001)],
    "bomb": [("model.pth", bytes(50_000_000))],
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_archive_with_what_no_model_has_is_refused_and_leaves_nothing(
    release: Release, archive: Path, tmp_path: Path, kind: str
) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as written:
        for entry, data in HOSTILE[kind]:
            written.writestr(entry, data)

    with pytest.raises(Unavailable, match="cannot be used") as caught:
        await get(release, lambda news: None)

    assert caught.value.code == "digest_mismatch"
    assert list(release.archive_folder.parent.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"served.zip", "tts"}


async def test_bark_is_neither_pulled_nor_loaded(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="run any code") as caught:
        await pull("tts_models/multilingual/multi-dataset/bark", lambda news: None)
    (tmp_path / "config.json").write_text('{"model": "bark"}')

    reason = why_missing("mine", str(tmp_path), CoquiOptions())

    assert caught.value.code == "not_pullable"
    assert "Bark" in str(reason)


async def test_what_is_here_is_not_pulled_again(release: Release, asked: list[str | None]) -> None:
    release.archive_folder.mkdir(parents=True)
    await get(release, lambda news: None)
    assert asked == []


async def test_a_server_that_fails_is_told(release: Release, url: str, tmp_path: Path) -> None:
    lost = Release(NAME, {"github_rls_url": f"{url}.gone"})
    with pytest.raises(Unavailable, match="404") as caught:
        await get(lost, lambda news: None)
    assert caught.value.code == "pull_failed"
    nowhere = Release(NAME, {"github_rls_url": "http://127.0.0.1:9/x.zip"})
    with pytest.raises(Unavailable):
        await get(nowhere, lambda news: None)
    with pytest.raises(Unavailable, match="names no place"):
        await get(Release(NAME, {"license": "MIT"}), lambda news: None)


async def test_a_name_that_was_never_released_is_told_with_the_nearest() -> None:
    with pytest.raises(NotFound, match="tts_models/en/vctk/vits"):
        await pull("tts_models/en/vctk/vitts", lambda news: None)
