"""What a GGUF model takes, by its header."""

from __future__ import annotations

from typing import Any

import pytest

from models.backends.common.gguf import GgufHeader
from models.backends.llamacpp.devices import choose_usable, name_by_torch
from models.backends.llamacpp.needs import Footprint, LoadPlan, count_cache_bytes
from models.backends.llamacpp.options import LlamaCppChatOptions, LlamaCppEmbedOptions
from models.devices.accelerator import Accelerator

GB = 10**9


def header(architecture: str = "llama", words: int = 32_000, **fields: Any) -> GgufHeader:
    """The header of a model with these fields of its architecture."""
    named = {f"{architecture}.{name}": value for name, value in fields.items()}
    return GgufHeader(
        {"general.architecture": architecture, **named}, {"tokenizer.ggml.tokens": words}
    )


SMALL = header(
    "qwen2",
    block_count=24,
    context_length=32_768,
    embedding_length=896,
    feed_forward_length=4864,
    **{"attention.head_count": 14, "attention.head_count_kv": 2},
)
LARGE = header(
    block_count=80,
    context_length=131_072,
    embedding_length=8192,
    feed_forward_length=28_672,
    **{"attention.head_count": 64, "attention.head_count_kv": 8},
)


def plan(context: int, slots: int = 1, at_once: int = 512) -> LoadPlan:
    return LoadPlan(context, slots, 2048, at_once)


def footprint(found: GgufHeader, files_bytes: int, **options: Any) -> Footprint:
    return Footprint(found, files_bytes, LlamaCppChatOptions(**options))


def test_cache_is_that_of_all_layers_and_key_value_heads() -> None:
    """llama.cpp reports 96 MiB for 8,192 tokens of this model."""
    assert count_cache_bytes(SMALL, plan(8192)) == 96 * 2**20


def test_layers_with_a_window_keep_the_window_alone() -> None:
    """llama.cpp reports 24 and 15 MiB for 8,192 tokens of Gemma 3 270M."""
    gemma = header(
        "gemma3",
        block_count=18,
        embedding_length=640,
        **{
            "attention.head_count": 4,
            "attention.head_count_kv": 1,
            "attention.key_length": 256,
            "attention.value_length": 256,
            "attention.sliding_window": 512,
        },
    )

    assert count_cache_bytes(gemma, plan(8192)) == (24 + 15) * 2**20


def test_layers_may_have_numbers_of_heads_of_their_own() -> None:
    mixed = header(
        block_count=4,
        embedding_length=64,
        **{"attention.head_count": [4, 4, 4, 4], "attention.head_count_kv": [2, 0, 2]},
    )

    assert count_cache_bytes(mixed, plan(100)) == (2 + 0 + 2 + 4) * 100 * 2 * 16 * 2


def test_each_slot_has_a_whole_context() -> None:
    one, four = (footprint(SMALL, GB, context=4096, slots=slots) for slots in (1, 4))

    grown = four.cpu_bytes(four.plan("cpu", None)) - one.cpu_bytes(one.plan("cpu", None))

    assert grown >= 3 * count_cache_bytes(SMALL, plan(4096))


@pytest.mark.parametrize(
    ("found", "files_bytes", "total_bytes", "context"),
    [
        (SMALL, GB // 2, 24 * GB, 32_768),
        (SMALL, GB // 2, 1 * GB, 2048),
        (LARGE, 40 * GB, 180 * GB, 32_768),
        (LARGE, 40 * GB, 88 * GB, 8192),
        (header(), GB, 24 * GB, 4096),
        (header(context_length=512), GB, 24 * GB, 512),
        (header(context_length="many"), GB, None, 4096),
    ],
)
def test_context_is_what_the_file_says_as_far_as_half_the_memory_goes(
    found: GgufHeader, files_bytes: int, total_bytes: int | None, context: int
) -> None:
    assert footprint(found, files_bytes).plan("cpu", total_bytes).context == context


def test_context_of_the_options_is_taken_as_it_is() -> None:
    assert footprint(LARGE, 40 * GB, context=100_000).plan("cpu", GB).context == 100_000


def test_less_of_a_prompt_is_read_at_once_on_a_cpu() -> None:
    """Between two batches llama.cpp looks whether somebody gave up."""
    model = footprint(SMALL, GB)

    assert model.plan("cpu", None).batch < model.plan("cuda:0", None).batch
    assert footprint(SMALL, GB, batch=64).plan("cpu", None).at_once == 64


def test_an_embedder_reads_a_whole_text_at_once() -> None:
    model = Footprint(SMALL, GB, LlamaCppEmbedOptions(context=1000))

    assert model.plan("cpu", None) == LoadPlan(1000, 1, 1000, 1000)


@pytest.mark.parametrize("value", [-1, 2**40, "many", None, [2**40], []])
@pytest.mark.parametrize("name", ["block_count", "embedding_length", "attention.head_count"])
def test_damaged_numbers_are_survived(name: str, value: Any) -> None:
    fields = {"block_count": 2, "embedding_length": 64, name: value}

    model = footprint(header(**fields), GB)

    assert model.cpu_bytes(model.plan("cpu", 24 * GB)) > GB


def test_device_of_llamacpp_has_the_name_of_torch() -> None:
    names = ["CPU", "CUDA0", "CUDA1", "ROCm0", "SYCL2", "MTL0", "Vulkan0", "BLAS", ""]

    assert [name_by_torch(name) for name in names] == [
        *(None, "cuda:0", "cuda:1", "cuda:0", "xpu:2", "mps", None, None, None)
    ]


def test_device_that_llamacpp_was_built_for_is_usable_whatever_torch_says() -> None:
    torch_lacks = Accelerator("cuda:0", "nvidia", "one", 8 * GB, problem="PyTorch is not for it")
    other = Accelerator("xpu:0", "intel", "other", 8 * GB)

    (usable,) = choose_usable([torch_lacks, other], ["CPU", "CUDA0"])

    assert (usable.name, usable.problem) == ("cuda:0", "")
    assert choose_usable([torch_lacks, other], ["CPU"]) == []
