"""Pulling from the Hub: the real client in a worker process against a double on loopback."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.errors import Invalid, NotFound, Unavailable
from models.backends.common.sources import folder_of
from models.backends.llamacpp.pulled_files import find_files
from models.pulls.files import RemoteFile, select_files
from models.pulls.hub import HubPuller
from tests.support.hub import COMMIT, Hub
from tests.support.script import Gate

WEIGHTS = os.urandom(3_000_000)
BOUND_S = 120


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub(files={"config.json": b'{"model_type": "tiny"}', "model.safetensors": WEIGHTS})
    hub.start()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield hub
    hub.stop()


async def pulled(source: str = "maker/tiny", allow_pickles: bool = False) -> list[Any]:
    news: list[Any] = []
    async with asyncio.timeout(BOUND_S):
        await HubPuller(allow_pickles=allow_pickles).pull(source, news.append)
    return news


def parts(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "hf").rglob("*.incomplete"))


async def test_a_repository_is_there_for_the_libraries_with_progress_on_the_way(
    hub: Hub, tmp_path: Path
) -> None:
    hub.files |= {"pytorch_model.bin": b"x" * 10, "README.md": b"# Tiny"}
    news = await pulled()
    folder = folder_of("maker/tiny")
    assert folder is not None
    assert sorted(each.name for each in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    total = len(WEIGHTS) + len(hub.files["config.json"])
    assert news[-1] == {"status": "success", "completed": total, "total": total}
    assert all(each.get("total", total) == total for each in news)
    assert parts(tmp_path) == []


async def test_what_is_here_already_is_not_fetched_again(hub: Hub) -> None:
    await pulled()
    fetched = len(hub.ranges)
    await pulled()
    assert len(hub.ranges) == fetched


async def test_a_pull_broken_off_goes_on_where_it_was(hub: Hub, tmp_path: Path) -> None:
    # The client writes 10 MiB at a time: the first half must hold more.
    weights = hub.files["model.safetensors"] = WEIGHTS * 8
    gate = hub.gates["model.safetensors"] = Gate()
    pulling = asyncio.create_task(pulled())
    await gate.reached.wait(BOUND_S)
    async with asyncio.timeout(BOUND_S):
        # The half is on its way through the client: some of it must be on disk.
        while not any(part.stat().st_size for part in parts(tmp_path)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    pulling.cancel()
    await asyncio.gather(pulling, return_exceptions=True)
    await gate.abandoned.wait(BOUND_S)
    kept = parts(tmp_path)[0].stat().st_size
    assert 0 < kept < len(weights)
    assert folder_of("maker/tiny") is None
    news = await pulled()
    assert hub.ranges[-1] == ("model.safetensors", f"bytes={kept}-")
    assert any(each.get("completed", 0) >= kept for each in news)
    folder = folder_of("maker/tiny")
    assert folder is not None
    assert (folder / "model.safetensors").read_bytes() == weights


async def test_a_file_whose_digest_does_not_match_is_fetched_again(
    hub: Hub, tmp_path: Path
) -> None:
    hub.damage = {"model.safetensors": 1, "config.json": 1}
    await pulled()
    folder = folder_of("maker/tiny")
    assert folder is not None
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert [path for path, _ in hub.ranges].count("model.safetensors") == 2


async def test_file_with_a_wrong_digest_is_deleted_and_reported(hub: Hub, tmp_path: Path) -> None:
    hub.damage = {"model.safetensors": 9}
    with pytest.raises(Unavailable, match="deleted") as caught:
        await pulled()
    assert caught.value.code == "digest_mismatch"
    assert parts(tmp_path) == []
    sizes = [each.stat().st_size for each in (tmp_path / "hf").rglob("blobs/*")]
    assert len(WEIGHTS) not in sizes


async def test_all_files_are_of_the_commit_that_was_checked(hub: Hub, tmp_path: Path) -> None:
    hub.moves = True

    await pulled()

    (repository,) = (tmp_path / "hf" / "hub").glob("models--*")
    assert [each.name for each in (repository / "snapshots").iterdir()] == [COMMIT]
    assert (repository / "refs" / "main").read_text() == COMMIT


async def test_file_here_of_the_right_size_and_name_is_checked_all_the_same(
    hub: Hub, tmp_path: Path
) -> None:
    await pulled()
    folder = folder_of("maker/tiny")
    assert folder
    blob = (folder / "model.safetensors").resolve()
    blob.write_bytes(b"x" * len(WEIGHTS))

    await pulled()

    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


async def test_pickles_are_pulled_where_they_are_allowed_alone(hub: Hub) -> None:
    hub.files = {"config.json": b"{}", "pytorch_model.bin": b"pickled"}

    with pytest.raises(Unavailable, match="allow_pickles") as caught:
        await pulled()

    assert caught.value.code == "unsafe_weights"
    assert hub.ranges == []
    await pulled(allow_pickles=True)
    folder = folder_of("maker/tiny")
    assert folder
    assert (folder / "pytorch_model.bin").read_bytes() == b"pickled"


async def test_weights_of_ctranslate2_are_no_pickles(hub: Hub) -> None:
    hub.files = {"config.json": b"{}", "model.bin": WEIGHTS, "vocabulary.txt": b"a"}

    await pulled()

    folder = folder_of("maker/tiny")
    assert folder
    assert (folder / "model.bin").read_bytes() == WEIGHTS
    hub.files = {"config.json": b"{}", "model.bin": WEIGHTS}
    hub.commit = "6" * 40
    with pytest.raises(Unavailable, match="allow_pickles"):
        await pulled()


@pytest.mark.parametrize("path", ["/evil.json", "a/../../evil.json", "a\\evil.json"])
async def test_listing_with_names_outside_of_the_repository_is_refused(
    hub: Hub, tmp_path: Path, path: str
) -> None:
    hub.files |= {path: b"{}"}

    with pytest.raises(Unavailable, match="cannot be"):
        await pulled()

    assert list(tmp_path.rglob("evil.json")) == []
    assert hub.ranges == []


async def test_a_repository_that_is_not_there_is_missing(hub: Hub) -> None:
    with pytest.raises(Unavailable) as caught:
        await pulled("maker/nothing")
    assert caught.value.code == "model_missing"


async def test_a_hub_that_does_not_answer_is_unreachable(hub: Hub) -> None:
    hub.stop()
    with pytest.raises(Unavailable) as caught:
        await pulled()
    assert caught.value.code == "hub_unreachable"


async def test_what_is_no_repository_is_invalid() -> None:
    for source in ("/models/mine", "a/b/c", "../x"):
        with pytest.raises(Invalid):
            await pulled(source)


async def gguf(repository: str = "maker/tiny", file: str = "", quantisation: str = "") -> None:
    async with asyncio.timeout(BOUND_S):
        await HubPuller().pull_gguf(repository, file, quantisation, lambda progress: None)


async def test_one_gguf_model_of_a_repository_is_pulled_with_its_projector(
    hub: Hub, tmp_path: Path
) -> None:
    hub.files = {
        "a-Q4_K_M.gguf": WEIGHTS,
        "a-Q8_0.gguf": b"GGUF 8",
        "mmproj-f16.gguf": b"GGUF eyes",
        "config.json": b"{}",
    }

    await gguf()

    files = find_files("hf.co/maker/tiny", tmp_path)
    assert files
    assert files.model.read_bytes() == WEIGHTS
    assert files.projector
    assert files.projector.read_bytes() == b"GGUF eyes"
    assert {path for path, _ in hub.ranges} == {"a-Q4_K_M.gguf", "mmproj-f16.gguf"}

    await gguf(quantisation="q8_0")

    assert find_files("hf.co/maker/tiny:Q8_0", tmp_path)
    assert find_files("hf.co/maker/tiny:Q4_K_M", tmp_path)


async def test_gguf_model_that_the_repository_lacks_is_not_found_and_others_are_named(
    hub: Hub,
) -> None:
    hub.files = {"a-Q4_K_M.gguf": WEIGHTS, "a-Q8_0.gguf": b"GGUF 8"}

    with pytest.raises(NotFound, match="It has Q4_K_M, Q8_0") as caught:
        await gguf(quantisation="Q2_K")

    assert caught.value.code == "model_not_found"
    with pytest.raises(NotFound, match=r"no other\.gguf"):
        await gguf(file="other.gguf")
    assert hub.ranges == []


async def test_gguf_model_beside_another_library_leaves_that_one_its_revision(hub: Hub) -> None:
    await pulled()
    hub.files["a-Q4_K_M.gguf"] = b"GGUF"
    hub.commit = "6" * 40

    await gguf()

    folder = folder_of("maker/tiny")
    assert folder
    assert (folder / "config.json").is_file()


async def test_connection_that_breaks_is_made_again_where_it_was(hub: Hub) -> None:
    hub.cuts["model.safetensors"] = 2

    await pulled()

    starts = [wanted for path, wanted in hub.ranges if path == "model.safetensors"]
    assert (len(starts), starts[0]) == (3, None)
    assert all(wanted for wanted in starts[1:])
    folder = folder_of("maker/tiny")
    assert folder
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


async def test_file_longer_than_the_hub_lists_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.sizes["model.safetensors"] = 1000

    with pytest.raises(Unavailable) as caught:
        await pulled()

    assert caught.value.code == "digest_mismatch"
    assert parts(tmp_path) == []


@pytest.mark.parametrize("status", [401, 403])
async def test_repository_that_asks_for_an_account_says_so(hub: Hub, status: int) -> None:
    hub.refuses = status

    with pytest.raises(Unavailable, match="HF_TOKEN") as caught:
        await pulled()

    assert caught.value.code == "hub_forbidden"


async def test_gated_repository_is_pulled_with_the_token_of_its_user(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_secret"
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(Unavailable, match="HF_TOKEN") as caught:
        await pulled()
    assert caught.value.code == "hub_forbidden"

    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    await pulled()

    assert folder_of("maker/tiny")


@pytest.mark.parametrize("path", ["../evil-Q4_K_M.gguf", "/evil.gguf", "a\\evil.gguf"])
async def test_gguf_file_named_outside_of_the_repository_is_refused(
    hub: Hub, tmp_path: Path, path: str
) -> None:
    hub.files = {path: WEIGHTS}

    with pytest.raises(Unavailable, match="cannot be"):
        await gguf()

    assert list(tmp_path.rglob("*evil*")) == []
    assert hub.ranges == []


async def test_files_are_listed_with_their_sizes(hub: Hub) -> None:
    listing = await HubPuller().list_files("maker/tiny")

    assert dict(listing.sizes) == {name: len(data) for name, data in hub.files.items()}
    assert listing.config == hub.files["config.json"].decode()


def names(*paths: str) -> list[str]:
    files = [RemoteFile(path, 1, path, False) for path in paths]
    return sorted(file.path for file in select_files(files))


def test_weights_are_taken_once_as_safetensors_in_full_precision() -> None:
    both = names("config.json", "model.safetensors", "model.fp16.safetensors", "model.bin", "x.md")
    assert both == ["config.json", "model.safetensors"]
    assert names("config.json", "pytorch_model.bin") == ["config.json", "pytorch_model.bin"]
    assert names("model.fp16.safetensors") == ["model.fp16.safetensors"]


def test_pipeline_is_pulled_by_its_components_without_the_single_file_copy() -> None:
    taken = names(
        "model_index.json", "sd_xl.safetensors", "unet/x.safetensors", "unet/x.fp16.safetensors",
        "unet/x.bin", "vae/config.json",
    )  # fmt: skip
    assert taken == ["model_index.json", "unet/x.safetensors", "vae/config.json"]
