"""Pulling from a registry that speaks Ollama's protocol: a worker process against a double."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.errors import Invalid, MotetError, NotFound, Unavailable
from models.backends.llamacpp.pull import pull
from models.backends.llamacpp.pulled_files import GGUFFiles, find_files, find_missing
from models.pulls.registry import RegistryPuller
from tests.support.registry import Registry, digest_of
from tests.support.script import Gate

WEIGHTS = b"GGUF" + os.urandom(2_000_000)
PROJECTOR = b"GGUF" + os.urandom(1000)
PARAMS = b'{"stop": ["<|im_end|>"], "temperature": 0.7}'
BOUND_S = 120


@pytest.fixture
def registry() -> Iterator[Registry]:
    registry = Registry()
    registry.offer("library/tiny:1b", model=WEIGHTS, template=b"{{ .Prompt }}", params=PARAMS)
    registry.start()
    yield registry
    registry.stop()


def source(registry: Registry, name: str = "library/tiny:1b") -> str:
    return f"{registry.url}/{name}"


async def pulled(source: str, home: Path) -> list[Any]:
    reports: list[Any] = []
    async with asyncio.timeout(BOUND_S):
        await pull(source, home, reports.append)
    return reports


async def refused(source: str, home: Path) -> MotetError:
    with pytest.raises(MotetError) as caught:
        await pulled(source, home)
    assert find_files(source, home) is None
    return caught.value


def blobs(home: Path) -> list[Path]:
    return sorted((home / "models").rglob("sha256-*"))


def files_of(source: str, home: Path) -> GGUFFiles:
    files = find_files(source, home)
    assert files is not None
    return files


async def test_pulled_tag_is_found(registry: Registry, tmp_path: Path) -> None:
    assert "motet models pull tiny" in (find_missing("tiny", source(registry), tmp_path) or "")

    reports = await pulled(source(registry), tmp_path)

    files = files_of(source(registry), tmp_path)
    assert files.model.read_bytes() == WEIGHTS
    assert files.projector is None
    total = len(WEIGHTS)
    assert reports[-1] == {"status": "success", "completed": total, "total": total}
    assert find_missing("tiny", source(registry), tmp_path) is None


async def test_projector_is_pulled_with_its_model(registry: Registry, tmp_path: Path) -> None:
    registry.offer("maker/eyes:latest", model=WEIGHTS, projector=PROJECTOR)

    await pulled(source(registry, "maker/eyes"), tmp_path)

    projector = files_of(source(registry, "maker/eyes"), tmp_path).projector
    assert projector
    assert projector.read_bytes() == PROJECTOR


async def test_connection_that_breaks_is_made_again_where_it_was(
    registry: Registry, tmp_path: Path
) -> None:
    weights = digest_of(WEIGHTS)
    registry.cuts[weights] = 2

    await pulled(source(registry), tmp_path)

    starts = [wanted for digest, wanted in registry.ranges if digest == weights]
    assert starts[0] is None
    assert all(wanted and wanted != "bytes=0-" for wanted in starts[1:])
    assert len(starts) == 3
    assert files_of(source(registry), tmp_path).model.read_bytes() == WEIGHTS


async def test_cancelled_pull_leaves_a_part_and_the_next_goes_on_there(
    registry: Registry, tmp_path: Path
) -> None:
    gate = registry.gates[digest_of(WEIGHTS)] = Gate()
    pulling = asyncio.create_task(pulled(source(registry), tmp_path))
    await gate.reached.wait(BOUND_S)
    async with asyncio.timeout(BOUND_S):
        # The half is on its way through the client: some of it must be on disk.
        while not any(part.stat().st_size for part in blobs(tmp_path)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    pulling.cancel()
    await asyncio.wait([pulling])
    assert [each.suffix for each in blobs(tmp_path)] == [".incomplete"]
    assert find_files(source(registry), tmp_path) is None

    await pulled(source(registry), tmp_path)

    assert [wanted for _, wanted in registry.ranges][1] is not None
    assert files_of(source(registry), tmp_path).model.read_bytes() == WEIGHTS
    assert [each.suffix for each in blobs(tmp_path)] == [""]


async def test_connection_that_breaks_for_ever_fails_and_keeps_the_part(
    registry: Registry, tmp_path: Path
) -> None:
    registry.offer("library/tiny:1b", model=b"GG")  # its half is one byte, then nothing comes
    registry.cuts[digest_of(b"GG")] = 100

    error = await refused(source(registry), tmp_path)

    assert error.code == "pull_failed"


async def test_blob_that_arrives_damaged_once_is_fetched_again(
    registry: Registry, tmp_path: Path
) -> None:
    registry.damage[digest_of(WEIGHTS)] = 1

    await pulled(source(registry), tmp_path)

    assert files_of(source(registry), tmp_path).model.read_bytes() == WEIGHTS


async def test_blob_with_a_wrong_digest_is_deleted_and_refused(
    registry: Registry, tmp_path: Path
) -> None:
    registry.damage[digest_of(WEIGHTS)] = 9

    error = await refused(source(registry), tmp_path)

    assert error.code == "digest_mismatch"
    assert blobs(tmp_path) == []


@pytest.mark.parametrize("declared", [len(WEIGHTS) - 7, len(WEIGHTS) + 7, 0])
async def test_manifest_that_lies_about_a_size_is_refused_and_no_byte_more_is_written(
    registry: Registry, tmp_path: Path, declared: int
) -> None:
    registry.manifests["library/tiny:1b"]["layers"][0]["size"] = declared

    error = await refused(source(registry), tmp_path)

    assert error.code in ("digest_mismatch", "pull_failed")
    assert all(each.stat().st_size <= declared for each in blobs(tmp_path))


async def test_model_that_no_disk_has_room_for_is_refused_before_a_byte_is_fetched(
    registry: Registry, tmp_path: Path
) -> None:
    registry.manifests["library/tiny:1b"]["layers"][0]["size"] = 10**18

    error = await refused(source(registry), tmp_path)

    assert error.code == "storage_full"
    assert error.details["needed_bytes"] >= 10**18
    assert registry.ranges == []


@pytest.mark.parametrize(
    "digest", ["sha256:../../../../evil", "sha256:" + "g" * 64, "md5:" + "0" * 32, "", None]
)
async def test_digest_that_is_none_is_refused(
    registry: Registry, tmp_path: Path, digest: str | None
) -> None:
    registry.manifests["library/tiny:1b"]["layers"][0]["digest"] = digest

    error = await refused(source(registry), tmp_path)

    assert error.code == "pull_failed"
    assert list(tmp_path.rglob("*evil*")) == []


async def test_manifest_without_weights_in_gguf_says_what_it_holds(
    registry: Registry, tmp_path: Path
) -> None:
    registry.offer("library/safe:1", tensor=b"x")

    error = await refused(source(registry, "library/safe:1"), tmp_path)

    assert isinstance(error, Invalid)
    assert (error.code, "tensor" in error.message) == ("not_pullable", True)


async def test_adapter_is_refused(registry: Registry, tmp_path: Path) -> None:
    registry.offer("library/lora:1", model=WEIGHTS, adapter=b"GGUF")

    error = await refused(source(registry, "library/lora:1"), tmp_path)

    assert "adapter" in error.message


async def test_model_that_the_registry_lacks_is_not_found(
    registry: Registry, tmp_path: Path
) -> None:
    error = await refused(source(registry, "library/none:1"), tmp_path)

    assert isinstance(error, NotFound)
    assert (error.code, "none:1" in error.message) == ("model_not_found", True)


async def test_blob_that_the_registry_lacks_is_not_found(
    registry: Registry, tmp_path: Path
) -> None:
    del registry.blobs[digest_of(WEIGHTS)]

    assert isinstance(await refused(source(registry), tmp_path), NotFound)


@pytest.mark.parametrize("status", [401, 403])
async def test_registry_that_asks_for_an_account_is_forbidden(
    registry: Registry, tmp_path: Path, status: int
) -> None:
    registry.refuses = status

    error = await refused(source(registry), tmp_path)

    assert isinstance(error, Unavailable)
    assert error.code == "registry_forbidden"


async def test_registry_that_does_not_answer_is_unreachable(
    registry: Registry, tmp_path: Path
) -> None:
    registry.stop()

    assert (await refused(source(registry), tmp_path)).code == "registry_unreachable"


async def test_models_that_share_weights_fetch_them_once(
    registry: Registry, tmp_path: Path
) -> None:
    registry.offer("library/other:1", model=WEIGHTS)
    await pulled(source(registry), tmp_path)

    await pulled(source(registry, "library/other:1"), tmp_path)

    assert [digest for digest, _ in registry.ranges].count(digest_of(WEIGHTS)) == 1


async def test_tag_is_described_by_its_size_and_its_parameters(
    registry: Registry, tmp_path: Path
) -> None:
    described = await RegistryPuller(tmp_path).describe(registry.url, "library/tiny", "1b")

    assert (described.size_bytes, described.params) == (len(WEIGHTS), PARAMS.decode())
    assert list(tmp_path.iterdir()) == []
