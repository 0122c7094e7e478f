"""A damaged artifact is told and never served as if it were whole; the others are as before."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import NotFound, Unavailable
from tests.support.full_disk import largest_file
from tests.support.tenants import TENANT
from tools.artifact_record import Artifact, description_of, list_damaged
from tools.artifacts import Artifacts

TEXT = "text/plain"


def write(content: bytes) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(content)


def change(**fields: object) -> Callable[[Path], object]:
    return lambda file: file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def put_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()
    (file / "inside").write_text("x")


def put_dangling_link(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.with_name("nowhere"))


DAMAGES = {
    "truncated": truncate,
    "empty": write(b""),
    "not JSON": write(b"hello"),
    "binary": write(b"\xff\xfe\x00\x01" * 50),
    "a list": write(b"[1, 2]"),
    "null": write(b"null"),
    "deep": write(b"[" * 100_000),
    "without fields": write(b"{}"),
    "size is text": change(size_bytes="5"),
    "size is another": change(size_bytes=4),
    "provenance is a text": change(provenance="none"),
    "provenance is missing": change(provenance=None),
    "type is no type": change(media_type="text/plain\r\nx: y"),
    "another id": change(id="0" * 64),
    "further fields": change(path="/etc/passwd"),
    "folder": put_folder,
}


@pytest.fixture
def store(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path)


async def put(store: Artifacts, data: bytes = b"whole") -> Artifact:
    return await store.put(data, media_type=TEXT, provenance={"tool": "test"}, tenant=TENANT)


async def refuse(store: Artifacts, id: str) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        await store.read(id, tenant=TENANT)
    assert caught.value.code == "artifact_damaged"
    assert str(store._folder) not in caught.value.message
    return caught.value


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_damaged_description_is_told_and_hides_no_other_artifact(
    store: Artifacts, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    hurt, other = await put(store), await put(store, b"other")
    damage(description_of(hurt.path))

    assert await store.list(tenant=TENANT) == [other]
    assert await store.list_older(2**40, None) == [other]
    error = await refuse(store, hurt.id)

    assert [each.message for each in store.problems()] == [error.message]
    assert [each.details["artifact"] for each in list_damaged(store._folder)] == [hurt.id]
    assert len([each for each in caplog.records if each.levelno >= logging.ERROR]) == 1
    assert await store.read(other.id, tenant=TENANT) == b"other"


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_storing_the_same_bytes_again_mends_a_damaged_artifact(
    store: Artifacts, damage: Callable[[Path], object]
) -> None:
    hurt = await put(store)
    damage(description_of(hurt.path))

    mended = await put(store)

    assert (mended.id, mended.provenance) == (hurt.id, hurt.provenance)
    assert await store.read(hurt.id, tenant=TENANT) == b"whole"
    assert list(store.problems()) == []


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_damaged_artifact_can_be_deleted(
    store: Artifacts, damage: Callable[[Path], object]
) -> None:
    hurt = await put(store)
    damage(description_of(hurt.path))

    await store.delete(hurt.id, tenant=TENANT)

    with pytest.raises(NotFound):
        await store.get(hurt.id, tenant=TENANT)
    assert not hurt.path.exists()


def flip_a_bit(file: Path) -> None:
    file.write_bytes(b"whale")


BYTES = {
    "of the same length": flip_a_bit,
    "truncated": lambda file: file.write_bytes(b"who"),
    "longer": lambda file: file.write_bytes(b"wholesale"),
    "missing": lambda file: file.unlink(),
    "a folder": put_folder,
    "a dangling link": put_dangling_link,
}


@pytest.mark.parametrize("damage", BYTES.values(), ids=BYTES)
async def test_bytes_that_are_not_their_digest_are_not_served(
    store: Artifacts, damage: Callable[[Path], object]
) -> None:
    hurt, other = await put(store), await put(store, b"other")
    damage(hurt.path)

    await refuse(store, hurt.id)

    assert await store.read(other.id, tenant=TENANT) == b"other"
    assert (await put(store)).id == hurt.id
    assert await store.read(hurt.id, tenant=TENANT) == b"whole"


async def test_bytes_changed_after_they_were_served_are_not_served_again(store: Artifacts) -> None:
    made = await put(store)
    assert await store.read(made.id, tenant=TENANT) == b"whole"

    flip_a_bit(made.path)
    os.utime(made.path, (1, 1))

    await refuse(store, made.id)


async def test_bytes_that_do_not_change_are_hashed_once(
    store: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await put(store)
    await store.get(made.id, tenant=TENANT)
    reads: list[object] = []
    monkeypatch.setattr("hashlib.file_digest", lambda *arguments: reads.append(arguments))

    for _ in range(3):
        await store.get(made.id, tenant=TENANT)

    assert reads == []


@pytest.mark.parametrize("size_bytes", [0, 10, 100], ids=["nothing", "half", "no description"])
async def test_full_disk_refuses_an_artifact_and_leaves_nothing_of_it(
    store: Artifacts, size_bytes: int
) -> None:
    before = await put(store)
    with largest_file(size_bytes), pytest.raises(Unavailable) as caught:
        await put(store, b"x" * 50)

    assert caught.value.code == "storage_full"
    assert str(store._folder) not in caught.value.message
    assert await store.list(tenant=TENANT) == [before]
    files = [path.name for path in store._folder.rglob("*") if path.is_file()]
    assert sorted(files) == [before.id, f"{before.id}.json"]
    assert await store.read((await put(store, b"x" * 50)).id, tenant=TENANT) == b"x" * 50


async def test_file_where_the_folder_must_be_is_told_in_words(store: Artifacts) -> None:
    (store._folder / "default").write_text("in the way")

    with pytest.raises(Unavailable, match="a file is where a folder must be") as caught:
        await put(store)

    assert caught.value.code == "storage_failed"
    assert await store.list(tenant=TENANT) == []
