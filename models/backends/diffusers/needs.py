"""How much memory a pipeline will take, and what of it must wait in RAM. Pure but for sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.backends.common.sources import folder_of
from models.backends.common.torch_options import NUMBER_BYTES, QUANTIZED_BYTES
from models.backends.diffusers.files import decoder_width, find_components, usual_side
from models.backends.diffusers.options import DiffusersOptions, Offload
from models.catalog.spec import ModelSpec
from models.devices import RAM
from models.devices.accelerator import Accelerator
from models.scheduling.placement import list_placements
from models.scheduling.requirement import MemoryRequirement

LIBRARIES_BYTES = 900_000_000
CONTEXT_BYTES = 500_000_000
UNKNOWN_BYTES = 7_000_000_000
USABLE = 0.9
"""Of a device: the rest belongs to others, and to what cannot be foreseen."""
LAYERS_HELD = 5
"""What decoding holds for each pixel, in layers of the decoder's widest full-size ones."""
PICTURES_KEPT = 2
"""Where there is room, torch keeps as much again: SDXL took 5.3 GB beside its weights for pictures
of 1024 x 1024 in bfloat16, on an H200."""
USUAL_DECODER_WIDTH = 256
SEQUENTIAL_SHARE = 0.1
"""Of the largest component: what a module or two of it take while they compute."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of weights, all and of the largest component, and of drawing one usual picture."""

    weights: int
    largest: int
    picture: int


def needs(
    spec: ModelSpec, options: DiffusersOptions, accelerators: Sequence[Accelerator]
) -> list[MemoryRequirement]:
    """Estimate where it could run and what it takes there; `spec.memory_bytes` is believed."""
    on_device, on_cpu = _sizes(spec, options, "bfloat16"), _sizes(spec, options, "float32")
    requirements = list_placements(
        spec,
        accelerators,
        device_bytes=spec.memory_bytes or _full(on_device),
        host_bytes=LIBRARIES_BYTES,
        cpu_bytes=spec.memory_bytes or on_cpu.weights + on_cpu.picture + LIBRARIES_BYTES,
    )
    if spec.memory_bytes:
        return requirements
    totals = {each.name: each.total_bytes for each in accelerators if not each.unified}
    return [
        _fitted(need, on_device, options, totals[need.device]) if need.device in totals else need
        for need in requirements
    ]


def offload(
    spec: ModelSpec, options: DiffusersOptions, device: str, accelerators: Sequence[Accelerator]
) -> Offload:
    """Decide what of it must wait in RAM on this device: the same answer at each load."""
    if options.offload != "auto":
        return options.offload
    total = next((each.total_bytes for each in accelerators if each.name == device), None)
    unified = any(each.unified for each in accelerators if each.name == device)
    if total is None or unified or spec.memory_bytes:
        return "none"
    return _chosen(_sizes(spec, options, "bfloat16"), options, total)


def _fitted(
    need: MemoryRequirement, sizes: Sizes, options: DiffusersOptions, total: int
) -> MemoryRequirement:
    chosen = _chosen(sizes, options, total)
    if chosen == "none":
        return need
    taken = _with_model_offload(sizes) if chosen == "model" else _with_sequential_offload(sizes)
    return MemoryRequirement(
        {need.device: taken, RAM: LIBRARIES_BYTES + sizes.weights}, need.device
    )


def _chosen(sizes: Sizes, options: DiffusersOptions, total: int) -> Offload:
    if options.offload != "auto":
        return options.offload
    room = total * min(USABLE, options.memory_fraction or 1.0)
    if _full(sizes) <= room:
        return "none"
    return "model" if _with_model_offload(sizes) <= room else "sequential"


def _full(sizes: Sizes) -> int:
    return sizes.weights + PICTURES_KEPT * sizes.picture + CONTEXT_BYTES


def _with_model_offload(sizes: Sizes) -> int:
    return sizes.largest + sizes.picture + CONTEXT_BYTES


def _with_sequential_offload(sizes: Sizes) -> int:
    return int(sizes.largest * SEQUENTIAL_SHARE) + sizes.picture + CONTEXT_BYTES


def _sizes(spec: ModelSpec, options: DiffusersOptions, usual: str) -> Sizes:
    folder = folder_of(spec.source)
    if folder is None:
        return Sizes(UNKNOWN_BYTES, UNKNOWN_BYTES, UNKNOWN_BYTES // 2)
    width = NUMBER_BYTES[usual if options.dtype == "auto" else options.dtype]
    small = QUANTIZED_BYTES.get(options.quantization, width)
    each = [
        int(part.numbers * (small if part.quantized else width)) for part in find_components(folder)
    ]
    return Sizes(sum(each), max(each, default=0), _picture(folder, options, width))


def _picture(folder: Path, options: DiffusersOptions, width: float) -> int:
    side = usual_side(folder)
    pixels = (options.width or side) * (options.height or side)
    return int(pixels * bytes_a_pixel(decoder_width(folder), width))


def bytes_a_pixel(channels: int | None, width: float) -> float:
    """Estimate what drawing takes beside the weights: its peak is the decoder at full size."""
    return LAYERS_HELD * (channels or USUAL_DECODER_WIDTH) * width
