"""How much memory a model takes, and how long its context is, by the header of its file. Pure.

llama.cpp keeps for each token of a context the keys and values of every layer; layers of a sliding
window keep those of the window alone. What it computes with is small beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle, islice

from models.backends.common.gguf import GgufHeader
from models.backends.llamacpp.options import MIB, LlamaCppEmbedOptions, LlamaCppOptions
from models.devices import CPU

CPU_BATCH, GPU_BATCH = 128, 2048
COMPUTED_AT_ONCE = 512
"""Of a batch, the most (`n_ubatch` of llama.cpp)."""
UNKNOWN_CONTEXT = 4096
MIN_CONTEXT, MAX_CONTEXT = 2048, 32_768
"""Chosen where the options do not say. A longer one is seldom used, and always paid for."""
MAX_TEXT = 2048
"""The same of embedders, which compute a whole text at once."""
MEMORY_SHARE = 0.5
"""Of a device: what a context that was not asked for may take together with the weights."""
MAX_LAYERS = 4096
"""More are a damaged header."""
NUMBER_BYTES = 2
"""Keys and values are kept as float16."""
PROCESS_BYTES = 200_000_000
"""Python, llama.cpp and the model's words."""
DEVICE_CONTEXT_BYTES = 500_000_000
"""What a driver takes of a GPU for a process."""
REPACKED_TYPES = (2, 10, 14, 15, 25)
"""`general.file_type` of Q4_0, Q2_K, Q4_K_S, Q4_K_M and IQ4_NL: llama.cpp keeps most such weights
a second time, in an order that suits the CPU."""
REPACKED_SHARE = 0.6
"""Of their weights: measured of a model of 1.5 billion."""
FULL_LAYERS = {"gemma2": 2, "gemma3": 6, "gemma3n": 5, "cohere2": 4, "exaone4": 4, "gpt-oss": 2}
"""Of so many layers one looks at the whole context, the others at a window, by architecture."""


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """How a model is loaded: `context` tokens in each of `slots`, `batch` of a prompt read between
    two looks at what else there is to do, `at_once` of them computed together."""

    context: int
    slots: int
    batch: int
    at_once: int


@dataclass(frozen=True, slots=True)
class Footprint:
    """What is known of a model before it is loaded: its header, its files' bytes, its options."""

    header: GgufHeader
    files_bytes: int
    options: LlamaCppOptions

    def plan(self, device: str, total_bytes: int | None) -> LoadPlan:
        """Choose context and batch for a device that has `total_bytes`; None: nobody knows."""
        if self.options.context:
            return self._plan(self.options.context, device)
        longest = MAX_TEXT if isinstance(self.options, LlamaCppEmbedOptions) else MAX_CONTEXT
        context = min(_number(self.header, "context_length", UNKNOWN_CONTEXT), longest)
        most_bytes = float("inf") if total_bytes is None else MEMORY_SHARE * total_bytes
        while context > MIN_CONTEXT and self._bytes(self._plan(context, device)) > most_bytes:
            context //= 2
        return self._plan(context, device)

    def cpu_bytes(self, plan: LoadPlan) -> int:
        """Estimate what it takes of RAM where it computes on the CPU."""
        is_repacked = self.header.fields.get("general.file_type") in REPACKED_TYPES
        repacked = int(REPACKED_SHARE * self.files_bytes) if is_repacked else 0
        return self._bytes(plan) + repacked + self.host_bytes()

    def device_bytes(self, plan: LoadPlan) -> int:
        """Estimate what it takes of an accelerator."""
        return self._bytes(plan) + DEVICE_CONTEXT_BYTES

    def host_bytes(self) -> int:
        """Estimate what its process takes of RAM beside the model."""
        return PROCESS_BYTES + self.options.prompt_cache_mib * MIB

    def _plan(self, context: int, device: str) -> LoadPlan:
        if isinstance(self.options, LlamaCppEmbedOptions):
            return LoadPlan(context, self.options.slots, context, context)
        batch = self.options.batch or (CPU_BATCH if device == CPU else GPU_BATCH)
        return LoadPlan(context, self.options.slots, batch, min(batch, COMPUTED_AT_ONCE))

    def _bytes(self, plan: LoadPlan) -> int:
        cached = plan.slots * count_cache_bytes(self.header, plan)
        return self.files_bytes + cached + _count_buffer_bytes(self.header, plan)


def count_cache_bytes(header: GgufHeader, plan: LoadPlan) -> int:
    """Count what the keys and values of one slot take."""
    layers = min(_number(header, "block_count", 0), MAX_LAYERS)
    heads = max([1, *_per_layer(header, "attention.head_count", layers, 1)])
    key_value_heads = _per_layer(header, "attention.head_count_kv", layers, heads)
    width = _number(header, "embedding_length", 0) // heads
    numbers = _number(header, "attention.key_length", width) + _number(
        header, "attention.value_length", width
    )
    lengths = _count_tokens(header, layers, plan)
    return sum(
        count * numbers * NUMBER_BYTES * length
        for count, length in zip(key_value_heads, lengths, strict=True)
    )


def _count_tokens(header: GgufHeader, layers: int, plan: LoadPlan) -> list[int]:
    """Count the tokens that each layer keeps."""
    window = _number(header, "attention.sliding_window", 0)
    every = FULL_LAYERS.get(header.architecture)
    if not window or every is None:
        return [plan.context] * layers
    windowed = min(plan.context, window + plan.at_once)
    return list(islice(cycle([*[windowed] * (every - 1), plan.context]), layers))


def _count_buffer_bytes(header: GgufHeader, plan: LoadPlan) -> int:
    """Estimate the buffers of one forward pass: some copies of the widest values of a layer."""
    outer = 12 * _number(header, "embedding_length", 0)
    inner = 3 * max(_per_layer(header, "feed_forward_length", 1, 0))
    words = header.lengths.get("tokenizer.ggml.tokens", 0)
    return 4 * (plan.at_once * (outer + inner) + plan.slots * words)


def _number(header: GgufHeader, name: str, default: int) -> int:
    value = header.get(name)
    return value if isinstance(value, int) and value >= 0 else default


def _per_layer(header: GgufHeader, name: str, layers: int, default: int) -> list[int]:
    """Return a number for each layer; a file has one for all of them, or one for each."""
    values = header.get(name)
    if not isinstance(values, list):
        return [_number(header, name, default)] * layers
    whole = [value if isinstance(value, int) else default for value in values]
    return (whole + [default] * layers)[:layers]
