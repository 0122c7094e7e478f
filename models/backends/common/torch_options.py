"""Options of models that compute with PyTorch, and what follows from them for their memory."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from config.errors import Invalid
from models.backends.common.options import Options

MAX_THREADS = 4
"""Cores that one model takes on a CPU, unless its options say otherwise."""
Quantization = Literal["none", "int8", "nf4"]
QUANTIZERS: dict[Quantization, tuple[str, ...]] = {
    "none": (),
    "int8": ("torchao", "bitsandbytes"),
    "nf4": ("bitsandbytes",),
}
"""The libraries that can do it, the preferred first."""
NUMBER_BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}
QUANTIZED_BYTES = {"int8": 1.15, "nf4": 0.65}
"""Bytes of a stored number: more than its bits, for scales and layers that stay as they are."""


class ThreadedOptions(Options):
    """Base of the options of models that may compute on a CPU."""

    threads: int | None = Field(None, ge=1, description="On a CPU; one for each core, at most 4.")


class TorchOptions(ThreadedOptions):
    """Base of the options of models whose weights may be of several types of numbers."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: bfloat16 where the device computes in it."
    )
    quantization: Quantization = Field("none", description="Fewer bits for each weight.")
    memory_fraction: float | None = Field(
        None, gt=0, le=1, description="Of an NVIDIA or AMD GPU: the most it may take."
    )


def count_threads(chosen: int | None) -> int:
    """Return the threads of a model on the CPU: as chosen, else one a core, `MAX_THREADS` most."""
    return chosen or min(MAX_THREADS, os.cpu_count() or 1)


def build_worker_options(options: ThreadedOptions, folder: Path, device: str) -> dict[str, Any]:
    """Return what each handler of a torch model reads: its options, files, device and threads."""
    return {
        **options.model_dump(mode="json"),
        "source": str(folder),
        "device": device,
        "threads": count_threads(options.threads),
    }


def find_missing_quantizer(options: TorchOptions) -> str | None:
    """Tell why the weights cannot be made smaller here; None where they can, or need not."""
    libraries = QUANTIZERS[options.quantization]
    if not libraries or any(find_spec(library) for library in libraries):
        return None
    either = " or ".join(libraries)
    return f"options.quantization: {options.quantization} takes {either} (pip install)."


def check_quantizer(name: str, options: TorchOptions) -> None:
    """Raise `Invalid` (`quantization_unavailable`) where a library is missing."""
    if reason := find_missing_quantizer(options):
        raise Invalid(f"{name}: {reason}", code="quantization_unavailable")
