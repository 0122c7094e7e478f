"""The folder of a pipeline: what is in it, and what is missing. Reads small files alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.backends.common.formats import why_foreign
from models.backends.common.sources import (
    config_of,
    folder_of,
    folder_unless,
    read_json,
    weight_files,
    weights,
    why_no_folder,
    why_pickled,
)

INDEX = "model_index.json"
HALF = ".fp16.safetensors"
DECODERS = ("vae", "vqvae", "movq")
USUAL_SIDE = 1024


@dataclass(frozen=True, slots=True)
class Component:
    """A component with weights: `numbers` of them."""

    name: str
    numbers: int

    @property
    def quantized(self) -> bool:
        """Whether a quantisation is meant for it: what decodes latents stays as it is."""
        return self.name not in DECODERS


def why_missing(name: str, source: str, *, allow_pickles: bool = False) -> str | None:
    """Tell why the model cannot be loaded from `source`, and what to do; None when all is there."""
    if not source:
        return "it has no `source`: name a folder with a Diffusers pipeline, or one of the Hub."
    folder = folder_of(source)
    if folder is None:
        return why_no_folder(name, source)
    if not (folder / INDEX).is_file():
        return (
            why_foreign(folder, ("diffusers",))
            or f"{folder} is not the folder of a Diffusers pipeline: it has no {INDEX}."
        )
    lacking = [each.name for each in _component_folders(folder) if not _has_weights(each)]
    if lacking:
        return (
            f"{folder} lacks the weights of {', '.join(lacking)}. Run `motet models pull {name}`, "
            "or put them there."
        )
    pickled = (file for each in _component_folders(folder) for file in weight_files(each, "*.bin"))
    return None if allow_pickles else why_pickled(folder, pickled)


def require_folder(name: str, source: str, *, allow_pickles: bool = False) -> Path:
    """Return the folder of a pipeline to be loaded. Raises `Unavailable` (`model_missing`)."""
    return folder_unless(why_missing(name, source, allow_pickles=allow_pickles), name, source)


def find_components(folder: Path) -> list[Component]:
    """List the components with weights."""
    return [Component(each.name, _count_numbers(each)) for each in _component_folders(folder)]


def variant(folder: Path) -> str | None:
    """Return "fp16" when weights are stored so, beside others or alone; else None."""
    halved = any(file for each in _component_folders(folder) for file in each.glob(f"*{HALF}"))
    return "fp16" if halved else None


def usual_side(folder: Path) -> int:
    """Read which side its pictures were made for, in pixels."""
    for name in ("unet", "transformer", "prior"):
        side = config_of(folder / name).get("sample_size")
        if isinstance(side, list):
            side = max(side)
        if isinstance(side, int):
            return side * _scale(folder)
    return USUAL_SIDE


def decoder_width(folder: Path) -> int | None:
    """Read the channels of the decoder's widest layers at full size; None when it has no such."""
    widths = config_of(folder / "vae").get("block_out_channels")
    return max(widths[:2]) if isinstance(widths, list) and widths else None


def _scale(folder: Path) -> int:
    widths = config_of(folder / "vae").get("block_out_channels")
    return int(2 ** (len(widths) - 1)) if isinstance(widths, list) and widths else 8


def _component_folders(folder: Path) -> Iterator[Path]:
    """Yield the folders of components that are made of weights."""
    index = read_json(folder / INDEX)
    for name, library_and_class in sorted(index.items()):
        is_part = (
            isinstance(library_and_class, list)
            and len(library_and_class) == 2
            and all(library_and_class)
        )
        if is_part and _is_model(folder / name, str(library_and_class[1])):
            yield folder / name


def _is_model(folder: Path, kind: str) -> bool:
    light = kind.endswith(("Tokenizer", "TokenizerFast", "Scheduler", "Processor", "Extractor"))
    return not light and ((folder / "config.json").is_file() or not folder.is_dir())


def _has_weights(folder: Path) -> bool:
    for index in folder.glob("*.index.json"):
        named = set(read_json(index).get("weight_map", {}).values())
        if named and all((folder / each).is_file() for each in named):
            return True
    whole = [file for file in folder.glob("*.safetensors") if "-of-" not in file.name]
    return bool(whole) or any(folder.glob("*.bin"))


def _count_numbers(folder: Path) -> int:
    """Count the numbers once: a folder may hold its weights whole and halved."""
    halves = sum(1 for _ in folder.glob(f"*{HALF}"))
    wholes = sum(1 for file in folder.glob("*.safetensors") if not file.name.endswith(HALF))
    numbers = weights(folder).numbers
    return numbers // 2 if halves and wholes else numbers
