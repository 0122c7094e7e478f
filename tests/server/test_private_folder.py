"""The data folder is its owner's alone, and one that cannot be used is refused in words."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import Invalid, Unavailable
from config.settings import load_settings
from server.data_folder import lock_data_folder, server_address
from server.private_folder import prepare_private_folder


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def refusal_of(home: Path) -> str:
    with pytest.raises(Unavailable) as caught, lock_data_folder(home):
        pass
    assert caught.value.code == "data_folder_unusable"
    return caught.value.message


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o002])
def test_what_is_made_in_the_folder_is_the_owners_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        home = tmp_path / "home"
        with lock_data_folder(home):
            (home / "file").touch()
            (home / "folder").mkdir()
        (tmp_path / "after").touch()
    finally:
        os.umask(before)

    assert [mode_of(home), mode_of(home / "folder")] == [0o700, 0o700]
    assert [mode_of(home / "file"), mode_of(home / "lock")] == [0o600, 0o600]
    assert mode_of(tmp_path / "after") == 0o666 & ~umask


@pytest.fixture
def open_home(tmp_path: Path) -> Path:
    """A data folder of an earlier version, beside files that are not Motet's."""
    home = tmp_path / "home"
    for name in ("runs.db", "runs.db-wal", "indexes/indexes.db", "artifacts/default/ab/abc"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
    (home / "page.html").touch()
    (tmp_path / "shared").mkdir(mode=0o755)
    (home / "agents").symlink_to(tmp_path / "shared")
    for path in (home, *home.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    return home


def test_folder_that_was_open_is_closed_once_with_a_line_in_the_log(
    open_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        prepare_private_folder(open_home)

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "mode 0755, now 0700" in record.getMessage()
    for name in ("runs.db", "runs.db-wal", "indexes/indexes.db", "artifacts/default/ab/abc"):
        assert mode_of(open_home / name) == 0o600, name
        assert mode_of((open_home / name).parent) == 0o700, name


def test_files_of_others_in_the_folder_and_behind_links_keep_their_modes(open_home: Path) -> None:
    prepare_private_folder(open_home)

    assert mode_of(open_home / "page.html") == 0o644
    assert mode_of(open_home.parent / "shared") == 0o755


def test_folder_that_all_users_share_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)

    assert "shared by all users" in refusal_of(tmp_path)
    assert mode_of(tmp_path) == 0o1777


def test_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    if os.geteuid() == 0:
        os.chown(home, 12345, 12345)
    else:
        home = Path("/usr")

    message = refusal_of(home)

    assert "belongs to user" in message
    assert "chown" in message
    assert not (home / "lock").exists()


def put_file(home: Path) -> None:
    home.write_text("")


def put_lock_folder(home: Path) -> None:
    (home / "lock").mkdir(parents=True)


UNUSABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file": (put_file, "it is a file"),
    "a link to a file": (lambda home: home.symlink_to("/etc/hostname"), "it is a file"),
    "a folder for the lock": (put_lock_folder, "a folder is where a file must be"),
    "a circle of links": (lambda home: home.symlink_to(home), "links lead in a circle"),
    "a dangling link": (lambda home: home.symlink_to(home.with_name("gone")), "it is not there"),
}


@pytest.mark.parametrize(("make", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_folder_that_cannot_be_one_is_refused_in_words(
    tmp_path: Path, make: Callable[[Path], object], reason: str
) -> None:
    home = tmp_path / "home"
    make(home)

    assert reason in refusal_of(home)


def test_path_whose_parent_is_missing_is_not_made(tmp_path: Path) -> None:
    message = refusal_of(tmp_path / "mount" / "motet")

    assert "Is its disk mounted?" in message
    assert not (tmp_path / "mount").exists()


@pytest.mark.parametrize("below", [".", "motet"])
def test_link_that_leads_nowhere_is_refused_by_the_settings(tmp_path: Path, below: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "mount" / "data")

    with pytest.raises(Invalid, match="Is its disk mounted") as caught:
        load_settings(home=tmp_path / "link" / below)

    assert caught.value.code == "invalid_settings"
    assert not (tmp_path / "mount").exists()


def test_links_in_a_circle_are_refused_by_the_settings(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")

    with pytest.raises(Invalid, match="home"):
        load_settings(home=tmp_path / "a")


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"https://elsewhere", b"hello\n", b"x" * 9999]
)
def test_damaged_address_of_a_server_is_told_in_words(tmp_path: Path, content: bytes) -> None:
    with lock_data_folder(tmp_path):
        (tmp_path / "address").write_bytes(content)
        with pytest.raises(Unavailable, match="holds no address"):
            server_address(tmp_path)

    assert server_address(tmp_path) is None


def test_folder_in_the_place_of_the_address_stops_no_start(tmp_path: Path) -> None:
    (tmp_path / "address" / "inside").mkdir(parents=True)

    with lock_data_folder(tmp_path):
        assert not (tmp_path / "address").exists()
