from __future__ import annotations

import asyncio
import hashlib
import os
import time
from pathlib import Path

import pytest

from config.errors import Busy, Invalid, NotFound, Unavailable
from tests.support.tenants import TENANT
from tools.artifacts import Artifacts

MADE = {"run": "r1", "node": "draw", "seed": 7}


def everything(folder: Path, pattern: str = "*") -> list[Path]:
    return list(folder.rglob(pattern))


async def test_bytes_come_back_under_the_name_of_their_content(tmp_path: Path) -> None:
    store = Artifacts(tmp_path)
    made = await store.put(b"picture", media_type="image/png", provenance=MADE, tenant=TENANT)
    assert made.id == hashlib.sha256(b"picture").hexdigest()
    assert (made.media_type, made.size_bytes, made.provenance) == ("image/png", 7, MADE)
    assert await store.read(made.id, tenant=TENANT) == b"picture"
    assert await Artifacts(tmp_path).get(made.id, tenant=TENANT) == made
    assert "path" not in made.as_dict()


async def test_the_same_bytes_are_one_artifact_with_its_first_provenance(tmp_path: Path) -> None:
    store = Artifacts(tmp_path)
    first = await store.put(b"x", media_type="text/plain", provenance=MADE, tenant=TENANT)
    again = await store.put(b"x", media_type="text/plain", provenance={"run": "r2"}, tenant=TENANT)
    assert again == first
    assert len(await store.list(tenant=TENANT)) == 1


async def test_many_writers_of_the_same_bytes_agree(tmp_path: Path) -> None:
    store = Artifacts(tmp_path, max_tenant_bytes=1000)
    put = (store.put(b"x" * 600, media_type="text/plain", tenant=TENANT) for _ in range(20))
    made = await asyncio.gather(*put)
    assert len({artifact.id for artifact in made}) == 1
    await store.put(b"y" * 400, media_type="text/plain", tenant=TENANT)


async def test_artifacts_of_another_tenant_are_not_found(tmp_path: Path) -> None:
    store = Artifacts(tmp_path)
    made = await store.put(b"x", media_type="text/plain", tenant="acme")
    with pytest.raises(NotFound):
        await store.get(made.id, tenant=TENANT)
    with pytest.raises(NotFound):
        await store.read(made.id, tenant="other")
    assert await store.list(tenant=TENANT) == []
    assert await store.list(tenant="acme") == [made]


async def test_the_newest_come_first_page_by_page(tmp_path: Path) -> None:
    store = Artifacts(tmp_path)
    made = []
    for number in range(5):
        artifact = await store.put(str(number).encode(), media_type="text/plain", tenant=TENANT)
        os.utime(artifact.path.with_suffix(".json"), (number, number))
        made.append(artifact)
    newest = list(reversed(made))
    assert await store.list(limit=2, tenant=TENANT) == newest[:2]
    assert await store.list(limit=2, offset=2, tenant=TENANT) == newest[2:4]
    assert await store.list(limit=10, offset=4, tenant=TENANT) == newest[4:]


@pytest.mark.parametrize(
    "id", ["", "..", "../../secret", "a" * 63, "A" * 64, "a" * 64 + "\n", "a" * 62 + "/.", "é" * 64]
)
async def test_a_name_that_is_no_hash_is_not_found(tmp_path: Path, id: str) -> None:
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(NotFound):
        await Artifacts(tmp_path / "artifacts").read(id, tenant=TENANT)


@pytest.mark.parametrize("tenant", ["", "..", "../other", "a/b", ".hidden", "a" * 65, "a\x00"])
async def test_a_tenant_name_cannot_leave_the_folder(tmp_path: Path, tenant: str) -> None:
    store = Artifacts(tmp_path / "artifacts")
    with pytest.raises(Invalid):
        await store.put(b"x", media_type="text/plain", tenant=tenant)
    with pytest.raises(Invalid):
        await store.list(tenant=tenant)
    assert everything(tmp_path) == []


@pytest.mark.parametrize(
    "media_type", ["", "png", "text/", "text/plain\r\nX: y", "TEXT/plain", "a b/c"]
)
async def test_a_media_type_that_is_none_is_refused(tmp_path: Path, media_type: str) -> None:
    with pytest.raises(Invalid) as raised:
        await Artifacts(tmp_path).put(b"x", media_type=media_type, tenant=TENANT)
    assert raised.value.details["field"] == "media_type"


async def test_an_artifact_beyond_the_bound_is_refused(tmp_path: Path) -> None:
    store = Artifacts(tmp_path, max_bytes=10)
    await store.put(b"x" * 10, media_type="text/plain", tenant=TENANT)
    with pytest.raises(Invalid) as raised:
        await store.put(b"x" * 11, media_type="text/plain", tenant=TENANT)
    assert raised.value.code == "too_large"


async def test_the_room_of_a_tenant_is_bounded_and_counted_anew_at_start(tmp_path: Path) -> None:
    await Artifacts(tmp_path).put(b"x" * 60, media_type="text/plain", tenant=TENANT)
    store = Artifacts(tmp_path, max_tenant_bytes=100)
    with pytest.raises(Busy) as raised:
        await store.put(b"y" * 41, media_type="text/plain", tenant=TENANT)
    assert raised.value.code == "artifact_storage_full"
    await store.put(b"z" * 40, media_type="text/plain", tenant=TENANT)
    await store.put(b"other" * 20, media_type="text/plain", tenant="acme")


async def test_bytes_without_their_description_do_not_exist(tmp_path: Path) -> None:
    """A process killed between its two writes leaves nothing that anyone can see."""
    store = Artifacts(tmp_path)
    made = await store.put(b"x", media_type="text/plain", provenance=MADE, tenant=TENANT)
    made.path.with_suffix(".json").unlink()
    (made.path.parent / ".half.part").write_bytes(b"half")
    fresh = Artifacts(tmp_path)
    assert await fresh.list(tenant=TENANT) == []
    with pytest.raises(NotFound):
        await fresh.get(made.id, tenant=TENANT)
    assert (
        await fresh.put(b"x", media_type="text/plain", provenance=MADE, tenant=TENANT)
    ).id == made.id
    assert await fresh.read(made.id, tenant=TENANT) == b"x"
    assert everything(tmp_path, "*.part") == []


async def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    made = await Artifacts(tmp_path).put(b"x", media_type="text/plain", tenant=TENANT)
    made.path.with_suffix(".json").unlink()
    made.path.unlink()
    made.path.mkdir()
    with pytest.raises(Unavailable, match="a folder is where a file must be"):
        await Artifacts(tmp_path).put(b"x", media_type="text/plain", tenant=TENANT)
    assert await Artifacts(tmp_path).list(tenant=TENANT) == []
    assert everything(tmp_path, "*.part") == []


async def test_an_artifact_can_be_made_to_survive_a_power_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    made = await Artifacts(tmp_path, fsync=True).put(b"x", media_type="text/plain", tenant=TENANT)
    assert synced.count(str(made.path.parent)) == 2
    assert len([name for name in synced if name.endswith(".part")]) == 2


async def test_a_deleted_artifact_is_gone_with_its_bytes_and_its_room(tmp_path: Path) -> None:
    store = Artifacts(tmp_path, max_tenant_bytes=7)
    made = await store.put(b"picture", media_type="image/png", tenant=TENANT)

    await store.delete(made.id, tenant=TENANT)

    with pytest.raises(NotFound):
        await store.get(made.id, tenant=TENANT)
    with pytest.raises(NotFound):
        await store.delete(made.id, tenant=TENANT)
    assert [file for file in everything(tmp_path) if file.is_file()] == []
    assert (await store.put(b"another", media_type="image/png", tenant=TENANT)).size_bytes == 7


async def test_an_artifact_of_another_tenant_is_not_deleted(tmp_path: Path) -> None:
    store = Artifacts(tmp_path)
    made = await store.put(b"picture", media_type="image/png", tenant="one")

    with pytest.raises(NotFound):
        await store.delete(made.id, tenant="two")

    assert await store.read(made.id, tenant="one") == b"picture"


async def test_an_old_artifact_that_is_written_again_is_not_old_any_more(tmp_path: Path) -> None:
    store = Artifacts(tmp_path)
    made = await store.put(b"picture", media_type="image/png", tenant=TENANT)
    os.utime(made.path.with_suffix(".json"), (1, 1))
    [old] = await store.list_older(1000, None)

    await store.put(b"picture", media_type="image/png", tenant=TENANT)

    assert await store.list_older(1000, None) == []
    assert not await store.delete_older(old, 1000)
    assert await store.read(made.id, tenant=TENANT) == b"picture"


async def test_tenants_whose_names_differ_by_case_have_folders_that_do_not(tmp_path: Path) -> None:
    store = Artifacts(tmp_path)

    for tenant in ("acme", "Acme", "ACME", "a-cme"):
        await store.put(b"x", media_type="text/plain", tenant=tenant)

    assert len({folder.name.lower() for folder in tmp_path.iterdir()}) == 4
    assert len(await store.list_older(time.time() + 60, tenant=None)) == 4
