from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from config.errors import Unavailable
from config.files import read_text, remove_path, replace_file, set_aside, storage_errors
from tests.support.full_disk import largest_file

CODES = {
    errno.ENOSPC: "storage_full",
    errno.EDQUOT: "storage_full",
    errno.EFBIG: "storage_full",
    errno.EROFS: "storage_read_only",
    errno.EACCES: "storage_denied",
    errno.EPERM: "storage_denied",
    errno.EIO: "storage_failed",
    errno.ENOTDIR: "storage_failed",
    errno.EMFILE: "storage_failed",
    errno.EUCLEAN: "storage_failed",
}


@pytest.mark.parametrize("number", CODES)
def test_what_a_disk_refuses_has_a_code_and_no_path(
    number: int, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Unavailable) as caught, storage_errors("The artifact"):
        raise OSError(number, os.strerror(number), "/secret/place")

    assert caught.value.code == CODES[number]
    assert caught.value.message.startswith("The artifact cannot be written: ")
    assert "/secret" not in str(caught.value.as_dict())
    assert f"incident {caught.value.details['incident']}" in caplog.text
    assert "/secret/place" in caplog.text


def test_file_that_does_not_fit_leaves_the_old_one_and_nothing_beside(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    replace_file(file, "old")

    with largest_file(10), pytest.raises(OSError, match="large"):
        replace_file(file, "new" * 100)

    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_file_is_its_owners_alone_and_its_folder_is_made(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "agent.yaml"

    replace_file(file, b"new")

    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_file_is_on_the_disk_before_its_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("fsync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("rename"), replace(a, b)))

    replace_file(tmp_path / "needs.json", "{}")

    assert order == ["fsync", "rename", "fsync"]


def test_text_has_plain_ends_of_lines(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_bytes("a: ä\r\nb: 2\rc: 3\n".encode())

    assert read_text(tmp_path / "agent.yaml") == "a: ä\nb: 2\nc: 3\n"


def test_damaged_file_is_set_aside_under_a_name_that_tells_it(tmp_path: Path) -> None:
    file = tmp_path / "needs.json"
    for content in ("first", "second"):
        file.write_text(content)
        set_aside(file, "not JSON")

    assert [path.name for path in tmp_path.iterdir()] == ["needs.json.damaged"]
    assert (tmp_path / "needs.json.damaged").read_text() == "second"


def test_folder_in_the_place_of_a_file_is_set_aside_with_what_is_in_it(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / "needs.json").mkdir()
        (tmp_path / "needs.json" / str(number)).touch()
        set_aside(tmp_path / "needs.json", "a folder")

    assert len(list(tmp_path.glob("needs.json.damaged-*/*"))) == 2
    assert not (tmp_path / "needs.json").exists()


@pytest.mark.parametrize("kind", ["file", "link", "dangling", "folder", "nothing"])
def test_whatever_is_in_the_way_is_removed(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "exchange", tmp_path / "other"
    (other / "inside").mkdir(parents=True)
    match kind:
        case "file":
            path.touch()
        case "link":
            path.symlink_to(other)
        case "dangling":
            path.symlink_to(tmp_path / "nowhere")
        case "folder":
            (path / "a").mkdir(parents=True)

    remove_path(path)

    assert not os.path.lexists(path)
    assert (other / "inside").exists()
