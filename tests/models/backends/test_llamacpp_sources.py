"""What the source of a GGUF model may be, and where its files lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.errors import Invalid, Unavailable
from models.backends.llamacpp.pulled_files import find_files, find_missing, require_files
from models.backends.llamacpp.sources import (
    OLLAMA_REGISTRY,
    GGUFSource,
    HubModel,
    LocalFile,
    RegistryModel,
    parse_source,
)

REVISIONS = ("1" * 40, "2" * 40)


@pytest.mark.parametrize(
    ("source", "parsed"),
    [
        ("./model.gguf", LocalFile(Path("model.gguf"))),
        ("/models/any name", LocalFile(Path("/models/any name"))),
        ("~/x.gguf", LocalFile(Path.home() / "x.gguf")),
        ("hf.co/maker/tiny-GGUF", HubModel("maker/tiny-GGUF")),
        ("hf.co/maker/tiny-GGUF:Q4_K_M", HubModel("maker/tiny-GGUF", quantisation="Q4_K_M")),
        ("hf.co/maker/tiny/sub/x-Q8.gguf", HubModel("maker/tiny", "sub/x-Q8.gguf")),
        ("https://huggingface.co/maker/tiny", HubModel("maker/tiny")),
        ("ollama.com/qwen2.5:0.5b", RegistryModel(OLLAMA_REGISTRY, "library/qwen2.5", "0.5b")),
        ("registry.ollama.ai/me/mine", RegistryModel(OLLAMA_REGISTRY, "me/mine", "latest")),
        ("http://127.0.0.1:5000/a/b:1", RegistryModel("http://127.0.0.1:5000", "a/b", "1")),
        ("reg.corp/a/b", RegistryModel("https://reg.corp", "a/b", "latest")),
    ],
)
def test_source_has_the_form_of_a_file_a_hub_model_or_a_tag(
    source: str, parsed: GGUFSource
) -> None:
    assert parse_source(source) == parsed


@pytest.mark.parametrize(
    "source",
    [
        "", "qwen", "maker/tiny", "hf.co/maker", "hf.co/maker/tiny/../x.gguf", "hf.co/a/b:c:d",
        "hf.co/maker/tiny/x.bin", "hf.co/maker/tiny/x.gguf:Q4", "ollama.com/a/b/c", "ollama.com/",
        "ollama.com/../x", "ollama.com/x:../y", "ftp://reg.corp/a/b", "http://user@host:1/a/b",
        "http://hf.co/maker/tiny", "hf.co/..%2f/x", "reg.corp/a/b?c=d", "hf.co/maker/tiny#x",
    ],
)  # fmt: skip
def test_source_of_another_form_is_refused_with_the_forms(source: str) -> None:
    with pytest.raises(Invalid, match=r"ollama\.com/") as caught:
        parse_source(source)

    assert caught.value.code == "invalid_model_source"


def cached(tmp_path: Path, revision: str, *names: str) -> Path:
    folder = tmp_path / "hub" / "models--maker--tiny" / "snapshots" / revision
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"GGUF")
    os.utime(folder, (int(revision[0]), int(revision[0])))
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def test_model_of_the_hub_is_found_in_whichever_revision_has_it(tmp_path: Path) -> None:
    old = cached(tmp_path, REVISIONS[0], "a-Q4_K_M.gguf", "mmproj-f16.gguf")
    new = cached(tmp_path, REVISIONS[1], "a-Q8_0.gguf")

    files = find_files("hf.co/maker/tiny:Q4_K_M", tmp_path)
    assert files
    assert (files.model, files.projector) == (old / "a-Q4_K_M.gguf", old / "mmproj-f16.gguf")
    assert files.size_bytes == 8
    usual = find_files("hf.co/maker/tiny", tmp_path)
    assert usual
    assert usual.model == new / "a-Q8_0.gguf"
    assert find_files("hf.co/maker/tiny:Q2_K", tmp_path) is None


def test_model_in_parts_is_missing_until_all_are_here(tmp_path: Path) -> None:
    (tmp_path / "a-00001-of-00002.gguf").write_bytes(b"GGUF")
    source = str(tmp_path / "a-00001-of-00002.gguf")
    assert "part" in (find_missing("a", source, tmp_path) or "")

    (tmp_path / "a-00002-of-00002.gguf").write_bytes(b"GGUF")

    files = find_files(source, tmp_path)
    assert files
    assert [each.name[-8:] for each in files.parts] == ["002.gguf"] * 2
    assert files.size_bytes == 8


def test_local_file_is_refused_for_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"PK\3\4")

    assert "GGUF" in (find_missing("a", str(file), tmp_path) or "")
    assert "folder" in (find_missing("a", str(tmp_path), tmp_path) or "")
    assert "cannot be read" in (find_missing("a", str(tmp_path / "no.gguf"), tmp_path) or "")
    assert "source" in (find_missing("a", "", tmp_path) or "")


def test_missing_model_says_which_command_gets_it(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="motet models pull small") as caught:
        require_files("small", "ollama.com/qwen2.5:0.5b", tmp_path)

    assert caught.value.code == "model_missing"
