"""How much memory a model will take, by its files. Pure but for reading their headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.backends.common.batches import fastest_dtype
from models.backends.common.sources import config_of, folder_of, weights
from models.backends.common.torch_options import NUMBER_BYTES, QUANTIZED_BYTES
from models.backends.transformers.options import (
    MAX_CACHED_PROMPTS,
    MIB,
    TransformersChatOptions,
    TransformersOptions,
)
from models.catalog.spec import ModelSpec
from models.devices.accelerator import Accelerator
from models.scheduling.placement import list_placements
from models.scheduling.requirement import MemoryRequirement

LIBRARIES_BYTES = 600_000_000
CONTEXT_BYTES = 500_000_000
UNKNOWN_BYTES = 2_000_000_000
WORKING_SHARE = 0.1
"""Of the weights: what a forward pass holds beside them."""
CONSTRAINT_BYTES, CONSTRAINT_TOKEN_BYTES = 20_000_000, 1200
"""What llguidance takes from the first answer on that is held to a schema, and by token of the
vocabulary: 25 MB for 1,024 tokens, 189 MB for 151,936 were measured."""


def needs(
    spec: ModelSpec, options: TransformersOptions, accelerators: Sequence[Accelerator]
) -> list[MemoryRequirement]:
    """Estimate where it could run and what it takes there; `spec.memory_bytes` is believed."""
    on_cpu, on_device = _bytes(spec, options)
    process_bytes = LIBRARIES_BYTES + _constraint_bytes(spec, options)
    return list_placements(
        spec,
        accelerators,
        device_bytes=spec.memory_bytes or on_device + CONTEXT_BYTES,
        host_bytes=process_bytes,
        cpu_bytes=spec.memory_bytes or on_cpu + process_bytes,
    )


def _bytes(spec: ModelSpec, options: TransformersOptions) -> tuple[int, int]:
    """Estimate what it takes on the CPU and on an accelerator, without the libraries."""
    folder = folder_of(spec.source)
    if folder is None:
        return UNKNOWN_BYTES, UNKNOWN_BYTES
    numbers = weights(folder).numbers
    remembered = 0
    if isinstance(options, TransformersChatOptions):
        remembered = options.context * _numbers_a_token(_text_config_of(folder))
    cpu, device = (
        NUMBER_BYTES[fastest_dtype() if options.dtype == "auto" else options.dtype],
        NUMBER_BYTES["bfloat16" if options.dtype == "auto" else options.dtype],
    )
    return _taken(numbers, remembered, cpu, options), _taken(numbers, remembered, device, options)


def _taken(numbers: int, remembered: int, width: float, options: TransformersOptions) -> int:
    stored = QUANTIZED_BYTES.get(options.quantization, width)
    cached = 0.0
    if isinstance(options, TransformersChatOptions):
        cached = min(options.prompt_cache_mib * MIB, MAX_CACHED_PROMPTS * remembered * width)
    return int(numbers * stored * (1 + WORKING_SHARE) + remembered * width + cached)


def _constraint_bytes(spec: ModelSpec, options: TransformersOptions) -> int:
    """Estimate what holding answers to schemas takes of the process."""
    folder = folder_of(spec.source)
    if folder is None or not isinstance(options, TransformersChatOptions):
        return 0
    vocabulary = int(_text_config_of(folder).get("vocab_size") or 0)
    return CONSTRAINT_BYTES + vocabulary * CONSTRAINT_TOKEN_BYTES


def _text_config_of(folder: Path) -> Mapping[str, Any]:
    """Read what a model's files say of the part that reads and writes text."""
    config = config_of(folder)
    return {**config, **(config.get("text_config") or {})}


def _numbers_a_token(config: Mapping[str, Any]) -> int:
    """Count the numbers that the attention of a model remembers of each token."""
    heads = config.get("num_attention_heads") or 1
    key_value_heads = config.get("num_key_value_heads") or heads
    each = config.get("head_dim") or (config.get("hidden_size") or 0) // heads
    return int(2 * (config.get("num_hidden_layers") or 0) * key_value_heads * each)
