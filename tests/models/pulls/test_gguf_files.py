"""Which files of a repository are a GGUF model."""

from __future__ import annotations

import pytest

from models.pulls.gguf_files import list_quantisations, select_gguf

REPOSITORY = [
    "README.md",
    "qwen-0.5b-fp16.gguf",
    "qwen-0.5b-q2_k.gguf",
    "qwen-0.5b-q4_k_m.gguf",
    "qwen-0.5b-q8_0.gguf",
    "imatrix_unsloth.gguf",
]


def chosen(paths: list[str], file: str = "", quantisation: str = "") -> tuple[str, ...]:
    selected = select_gguf(paths, file, quantisation)
    return selected.paths if selected else ()


def test_usual_quantisation_is_taken_where_none_is_named() -> None:
    assert chosen(REPOSITORY) == ("qwen-0.5b-q4_k_m.gguf",)
    assert chosen(["a-Q8_0.gguf", "a-F16.gguf"]) == ("a-Q8_0.gguf",)
    assert chosen(["only.gguf"]) == ("only.gguf",)


@pytest.mark.parametrize(
    ("quantisation", "file"),
    [("Q8_0", "qwen-0.5b-q8_0.gguf"), ("q2_k", "qwen-0.5b-q2_k.gguf"), ("Q4_K", None)],
)
def test_quantisation_is_found_by_its_whole_name(quantisation: str, file: str | None) -> None:
    assert chosen(REPOSITORY, quantisation=quantisation) == ((file,) if file else ())


def test_file_is_taken_as_it_is_named() -> None:
    assert chosen(REPOSITORY, file="qwen-0.5b-q2_k.gguf") == ("qwen-0.5b-q2_k.gguf",)
    assert chosen(REPOSITORY, file="other.gguf") == ()
    assert chosen(REPOSITORY, file="README.md") == ()


def test_model_in_parts_has_all_of_them_in_order() -> None:
    parts = [f"Q4_K_M/big-Q4_K_M-0000{number}-of-00003.gguf" for number in (3, 1, 2)]

    assert chosen(parts) == tuple(sorted(parts))
    assert chosen(parts, file=min(parts)) == tuple(sorted(parts))
    assert chosen(parts[:2]) == ()


def test_projector_comes_with_its_model_in_half_precision() -> None:
    paths = ["eyes-Q4_K_M.gguf", "mmproj-eyes-f16.gguf", "mmproj-eyes-Q8_0.gguf"]

    selected = select_gguf(paths)

    assert selected
    assert selected.parts == ("eyes-Q4_K_M.gguf",)
    assert selected.projector == "mmproj-eyes-f16.gguf"
    assert selected.paths == ("eyes-Q4_K_M.gguf", "mmproj-eyes-f16.gguf")


def test_repository_without_a_model_has_none() -> None:
    assert select_gguf(["model.safetensors", "mmproj-f16.gguf"]) is None


def test_quantisations_are_listed_by_name() -> None:
    assert list_quantisations(REPOSITORY) == ["Q2_K", "Q4_K_M", "Q8_0"]
    assert list_quantisations(["a-BF16.gguf", "a-UD-Q4_K_XL.gguf", "a-IQ4_XS.gguf"]) == [
        "BF16",
        "IQ4_XS",
        "UD-Q4_K_XL",
    ]
