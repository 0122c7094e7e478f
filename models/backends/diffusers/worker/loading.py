"""Loads a pipeline onto its device."""

from __future__ import annotations

import contextlib
import importlib.util
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.quantizers.pipe_quant_config import PipelineQuantizationConfig
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from config.errors import Unavailable
from models.backends.common.worker import Placement
from models.backends.diffusers.files import DECODERS


def load_pipeline(options: dict[str, Any], placement: Placement) -> Any:
    """Load the pipeline of the folder `source`, of the class that it names itself.

    Raises `Unavailable` ("model_unreadable") when its files are no good.
    """
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    # Weights of few bits are computed with in bfloat16, on a CPU too.
    on_cpu = "float32" if options["quantization"] == "none" else "bfloat16"
    try:
        load: Any = DiffusionPipeline.from_pretrained
        pipeline: Any = load(
            options["source"],
            dtype=placement.dtype(options["dtype"], on_cpu),
            variant=options["variant"],
            local_files_only=True,
            **_quantized(options["quantization"], options["source"]),
        )
    except (OSError, ValueError, KeyError, AttributeError, ImportError) as error:
        raise Unavailable(
            f"It is no Diffusers pipeline that can be read: {type(error).__name__}: {error}"[:2000],
            code="model_unreadable",
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    if decoder := getattr(pipeline, "vae", None):
        with contextlib.suppress(AttributeError, NotImplementedError):
            decoder.enable_slicing()  # the same pictures, one after the other
    put(pipeline, placement, options["offload"])
    return pipeline


def put(pipeline: Any, placement: Placement, offload: str) -> None:
    """Move it onto the device, or beside it with what moves there for its turn."""
    if offload == "model" and not placement.on_cpu:
        pipeline.enable_model_cpu_offload(device=placement.device)
    elif offload == "sequential" and not placement.on_cpu:
        pipeline.enable_sequential_cpu_offload(device=placement.device)
    else:
        pipeline.to(placement.device)


def _quantized(kind: str, source: str) -> dict[str, Any]:
    if kind == "none":
        return {}
    index = DiffusionPipeline.load_config(source, local_files_only=True)
    names = [
        name
        for name, library_and_class in index.items()
        if name not in DECODERS
        and isinstance(library_and_class, (list, tuple))
        and _is_model(library_and_class)
    ]
    if kind == "int8" and importlib.util.find_spec("torchao"):
        return {"quantization_config": PipelineQuantizationConfig(quant_mapping=_torchao(names))}
    backend = "bitsandbytes_8bit" if kind == "int8" else "bitsandbytes_4bit"
    chosen: dict[str, Any] = {"load_in_8bit": True} if kind == "int8" else _NF4
    return {
        "quantization_config": PipelineQuantizationConfig(
            quant_backend=backend, quant_kwargs=chosen, components_to_quantize=names
        )
    }


_NF4: dict[str, Any] = {
    "load_in_4bit": True,
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_compute_dtype": torch.bfloat16,
}


def _torchao(names: list[str]) -> dict[str, Any]:
    from diffusers import TorchAoConfig
    from torchao.quantization import Int8WeightOnlyConfig
    from transformers import TorchAoConfig as TextTorchAoConfig

    return {
        name: (TextTorchAoConfig if name.startswith("text") else TorchAoConfig)(
            Int8WeightOnlyConfig()
        )
        for name in names
    }


def _is_model(library_and_class: Any) -> bool:
    kind = str(library_and_class[1])
    return kind.endswith(("Model", "Transformer2DModel", "ModelWithProjection", "EncoderModel"))
