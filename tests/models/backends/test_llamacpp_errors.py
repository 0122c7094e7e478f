"""Why a load failed, by the lines that llama.cpp printed."""

from __future__ import annotations

import pytest

from config.errors import Unavailable
from models.backends.llamacpp.errors import explain_failed_load

NO_CACHE = """\
0.03.487.796 E llama_init_from_model: failed to initialize the context: failed to allocate buffer
0.03.487.801 E cmn  common_init_: failed to create context with model '/models/m.gguf'
0.03.488.151 E srv          init: exiting due to model loading error"""
NO_MAP = """\
0.03.196.320 E llama_model_load: error loading model: mmap failed: Cannot allocate memory
0.03.196.389 E cmn  common_init_: failed to load model '/models/m.gguf'"""
NO_DEVICE_MEMORY = """\
0.00.812.119 E ggml_backend_cuda_buffer_type_alloc_buffer: allocating 9000.00 MiB on device 0: \
cudaMalloc failed: out of memory
0.00.812.201 E llama_model_load: error loading model: unable to allocate CUDA0 buffer"""
CUT = """\
0.00.004.961 W srv          init: security: no API key is set and CORS allows all origins
0.00.173.596 E llama_model_load: error loading model: tensor 'output.weight' data is not within \
the file bounds, model is corrupted or incomplete
0.00.177.057 E llama_model_load_from_file_impl: failed to load model"""
UNKNOWN = """\
0.00.014.120 E llama_model_load: error loading model: unknown model architecture: 'newest'
0.00.014.155 E llama_model_load_from_file_impl: failed to load model"""


def explain(printed: str, code: str = "load_failed") -> Unavailable:
    details = {"stderr": printed.splitlines()}
    return explain_failed_load("mine", Unavailable("It failed.", code=code, details=details))


@pytest.mark.parametrize("printed", [NO_CACHE, NO_MAP, NO_DEVICE_MEMORY])
def test_memory_that_cannot_be_had_is_out_of_memory(printed: str) -> None:
    error = explain(printed)

    assert error.code == "out_of_memory"
    assert "'mine'" in error.message
    assert error.details["stderr"] == printed.splitlines()


@pytest.mark.parametrize(
    ("printed", "reason"),
    [(CUT, "corrupted or incomplete"), (UNKNOWN, "unknown model architecture: 'newest'")],
)
def test_reason_is_the_first_error_that_was_printed(printed: str, reason: str) -> None:
    error = explain(printed)

    assert error.code == "model_unreadable"
    assert error.message.startswith("llama.cpp cannot load 'mine': error loading model: ")
    assert reason in error.message


def test_load_without_a_word_is_told_all_the_same() -> None:
    assert "does not say why" in explain("").message


def test_worker_that_was_killed_is_not_explained_by_its_lines() -> None:
    assert explain(NO_CACHE, code="worker_died").code == "worker_died"
