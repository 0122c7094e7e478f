"""`motet doctor --artifacts` reads the bytes of every artifact, of all tenants."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli import artifact_scan
from server.cli.main import app
from tools.artifact_record import Artifact, check_artifact, description_of
from tools.artifacts import Artifacts


def scan(home: Path) -> tuple[int, str]:
    told = CliRunner().invoke(app, ["doctor", "--artifacts", "--home", str(home)])
    return told.exit_code, told.stdout


async def put(home: Path, data: bytes, tenant: str = "default") -> Artifact:
    return await Artifacts(home / "artifacts").put(data, media_type="image/png", tenant=tenant)


def corrupt(artifact: Artifact) -> None:
    """Change bytes, but neither their number nor their time."""
    times = artifact.path.stat()
    artifact.path.write_bytes(b"x" * artifact.size_bytes)
    os.utime(artifact.path, ns=(times.st_atime_ns, times.st_mtime_ns))


async def test_artifact_whose_bytes_changed_is_named_whosever_it_is(tmp_path: Path) -> None:
    await put(tmp_path, b"whole")
    hurt = [await put(tmp_path, b"one"), await put(tmp_path, b"two", "other")]
    for artifact in hurt:
        corrupt(artifact)

    status, output = scan(tmp_path)

    assert status == 1
    assert all(artifact.id in output for artifact in hurt)
    assert "3 artifacts read, 2 damaged." in output


async def test_artifacts_that_are_what_was_stored_are_counted(tmp_path: Path) -> None:
    for data in (b"one", b"two"):
        await put(tmp_path, data)

    assert scan(tmp_path) == (0, "2 artifacts read, 0 damaged.\n")


async def test_many_damaged_artifacts_are_named_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact_scan, "MAX_LISTED", 2)
    for number in range(4):
        corrupt(await put(tmp_path, b"%d" % number))

    _, output = scan(tmp_path)

    assert output.count("problem:") == 2
    assert "4 damaged" in output


async def test_artifact_that_is_deleted_meanwhile_is_not_damaged(tmp_path: Path) -> None:
    artifact = await put(tmp_path, b"gone")
    description_of(artifact.path).unlink()
    artifact.path.unlink()

    assert check_artifact(artifact.path) is None


def test_a_folder_without_artifacts_has_none(tmp_path: Path) -> None:
    assert scan(tmp_path) == (0, "0 artifacts read, 0 damaged.\n")
