"""LoRA weights: small changes to a model, laid on for one request."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from config.errors import Invalid

MAX_FILES_READ = 4
USUAL_FILE = "pytorch_lora_weights.safetensors"
MAX_WEIGHT = 10.0


class Loras:
    """Keeps the files read last; nothing stays on the model. Never unpickles."""

    def __init__(self) -> None:
        self._read: OrderedDict[Path, dict[str, torch.Tensor]] = OrderedDict()

    @contextlib.contextmanager
    def on(self, pipeline: Any, loras: Sequence[tuple[str, float]]) -> Iterator[None]:
        """Lay them on within the block. Raises `Invalid` (`lora_unfit`, `lora_missing`)."""
        if not loras:
            yield
            return
        if not hasattr(pipeline, "load_lora_weights"):
            raise _unfit("this model takes none")
        try:
            names = [self._lay_on(pipeline, n, *lora) for n, lora in enumerate(loras)]
            pipeline.set_adapters(names, [weight for _, weight in loras])
            yield
        finally:
            pipeline.unload_lora_weights()

    def _lay_on(self, pipeline: Any, number: int, source: str, weight: float) -> str:
        if not abs(weight) <= MAX_WEIGHT:
            raise _unfit(f"the weight of '{source}' must be between -{MAX_WEIGHT:g} and its like")
        name = f"lora{number}"
        try:
            # A copy: converting it to the format of peft takes entries out.
            pipeline.load_lora_weights(dict(self._tensors(_file(source))), adapter_name=name)
        except (ValueError, RuntimeError, KeyError) as error:
            raise _unfit(f"'{source}' does not fit this model: {error}"[:1000]) from error
        return name

    def _tensors(self, file: Path) -> dict[str, torch.Tensor]:
        if file not in self._read:
            try:
                self._read[file] = load_file(file)
            except (OSError, SafetensorError) as error:
                raise _unfit(f"'{file}' cannot be read: {error}") from error
        self._read.move_to_end(file)
        while len(self._read) > MAX_FILES_READ:
            self._read.popitem(last=False)
        return self._read[file]


def _file(source: str) -> Path:
    path = Path(source).expanduser()
    if path.is_dir():
        files = sorted(path.glob("*.safetensors"))
        usual = [file for file in files if file.name == USUAL_FILE]
        if len(files) != 1 and not usual:
            raise _missing(f"the folder '{source}' has {len(files)} .safetensors files, not one")
        return (usual or files)[0]
    if not path.is_file():
        raise _missing(f"there is no file '{source}'")
    return path


def _missing(reason: str) -> Invalid:
    return Invalid(f"loras: {reason}.", code="lora_missing", details={"field": "loras"})


def _unfit(reason: str) -> Invalid:
    return Invalid(f"loras: {reason}.", code="lora_incompatible", details={"field": "loras"})
