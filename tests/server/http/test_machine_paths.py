"""What a request may name on the server's machine: what lies below the roots, links followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import Invalid
from config.settings import load_settings
from server.http.machine_paths import MachinePaths
from server.owner_token import TOKEN_FILE, OwnerToken, owner_headers


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root" / "deep").mkdir(parents=True)
    (tmp_path / "root-beside").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "root" / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "root" / "in").symlink_to(tmp_path / "root" / "deep")
    (tmp_path / "root" / "circle").symlink_to(tmp_path / "root" / "circle")
    return tmp_path / "root"


@pytest.mark.parametrize(
    ("named", "path"),
    [("", ""), ("deep", "deep"), ("deep/../deep/.", "deep"), ("in", "deep"), ("new", "new")],
)
def test_what_lies_below_a_root_is_handed_on_as_it_is(root: Path, named: str, path: str) -> None:
    paths = MachinePaths([root], is_owner=False)

    assert paths.resolve(str(root / named), "folder") == root / path


@pytest.mark.parametrize(
    "named",
    [
        "..",
        "../secret",
        "../root-beside",
        "deep/../../secret",
        "out",
        "out/file",
        "in/../../secret",
        "circle",
        "/",
        "/etc/passwd",
        "/proc/self/root",
        "~",
        "~nobody-here/x",
        "a\0b",
        "/" + "a" * 5000,
        "",
    ],
)
def test_what_lies_elsewhere_is_refused_whether_or_not_it_is_there(
    root: Path, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root.parent)
    path = named if named.startswith(("/", "~")) or not named else f"{root}/{named}"

    with pytest.raises(Invalid) as caught:
        MachinePaths([root], is_owner=False).resolve(path, "folder")

    assert caught.value.code == "forbidden"
    assert caught.value.details == {"field": "folder", "setting": "folders"}
    assert str(root) not in caught.value.message


def test_root_may_itself_be_a_link(root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to(root)

    assert MachinePaths([link], is_owner=False).resolve(str(link / "deep"), "f") == root / "deep"


def test_nothing_may_be_named_without_roots_but_by_the_owner(root: Path) -> None:
    with pytest.raises(Invalid):
        MachinePaths((), is_owner=False).resolve(str(root), "folder")

    assert MachinePaths((), is_owner=True).resolve(str(root / "out"), "f").name == "secret"


@pytest.mark.parametrize("folders", [["relative"], ["./here"], [""], [7]])
def test_roots_that_are_no_absolute_paths_are_refused(
    tmp_path: Path, folders: list[object]
) -> None:
    with pytest.raises(Invalid, match="folders"):
        load_settings(home=tmp_path, folders=folders)


def test_secret_of_the_owner_is_new_at_each_start_and_readable_by_the_owner(tmp_path: Path) -> None:
    first = OwnerToken.issue(tmp_path)
    (sent,) = owner_headers(tmp_path).values()
    second = OwnerToken.issue(tmp_path)

    assert first.matches(sent)
    assert not second.matches(sent)
    assert (tmp_path / TOKEN_FILE).stat().st_mode & 0o077 == 0
    assert len(sent) > 40


@pytest.mark.parametrize("sent", [None, "", "x", "é", "\udcff", "a" * 10_000])
def test_what_is_not_the_secret_is_nobodys(tmp_path: Path, sent: str | None) -> None:
    assert not OwnerToken.issue(tmp_path).matches(sent)


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"a\nb"])
def test_secret_that_cannot_be_read_is_not_sent(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / TOKEN_FILE).write_bytes(content)

    assert owner_headers(tmp_path) == {}
