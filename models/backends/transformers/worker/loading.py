"""Gets a model from its folder onto its device, in the wanted numbers."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from transformers.utils.logging import disable_progress_bar

from config.errors import Unavailable
from models.backends.common.batches import fastest_dtype
from models.backends.common.worker import Placement


def open_device(options: dict[str, Any]) -> Placement:
    """Open the device of this worker, ready to be used."""
    disable_progress_bar()
    placement = Placement(options["device"], options["memory_fraction"])
    torch.set_num_threads(options["threads"] if placement.on_cpu else 1)
    return placement


def load_model(kind: Any, options: dict[str, Any], placement: Placement) -> Any:
    """Load the model, by one of the library's `AutoModel...` classes.

    Raises `Unavailable` ("model_unreadable") where its files do not hold all of it: the library
    itself would fill the gaps with random numbers.
    """
    dtype = placement.dtype(options["dtype"], fastest_dtype())
    fields: dict[str, Any] = {"dtype": dtype, "local_files_only": True}
    if options["quantization"] != "none":
        fields["quantization_config"] = _quantized(options["quantization"], dtype)
    direct = find_spec("accelerate") is not None and not placement.on_cpu
    if direct or "quantization_config" in fields:
        fields["device_map"] = {"": str(placement.device)}
    try:
        model, loading_info = kind.from_pretrained(
            options["source"], output_loading_info=True, **fields
        )
    except (OSError, ValueError, KeyError) as error:
        raise unreadable(str(error)) from error
    if absent := sorted(loading_info["missing_keys"]):
        raise unreadable(f"its files lack {', '.join(absent[:3])}")
    return model.eval() if "device_map" in fields else model.eval().to(placement.device)


def open_processor(kind: Any, source: str) -> Any:
    """Open a tokenizer or processor. Raises `Unavailable` (`model_unreadable`)."""
    try:
        return kind.from_pretrained(source, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise unreadable(str(error)) from error


def unreadable(reason: str) -> Unavailable:
    return Unavailable(f"Its files cannot be read: {reason[:1000]}", code="model_unreadable")


def _quantized(how: str, dtype: torch.dtype) -> Any:
    if how == "int8" and find_spec("torchao"):
        from torchao.quantization import (  # type: ignore[import-not-found,unused-ignore]
            Int8WeightOnlyConfig,
        )
        from transformers import TorchAoConfig

        return TorchAoConfig(Int8WeightOnlyConfig())
    from transformers import BitsAndBytesConfig

    if how == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
    )
