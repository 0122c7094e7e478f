"""Converts the packaged weights: `python -m models.backends.minilm.worker.export FOLDER`.

FOLDER is there at the end, whole, or not at all.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

from models.backends.minilm.worker.runtimes import OpenVino, padded, torch_model

MAKING = "making-"
TOLERANCE = 1e-3
SAMPLE = [[101, 2129, 2079, 1045, 102], [101, 7592, *range(2000, 2060), 102], [101, 102]]


class _States(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def main() -> None:
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=MAKING, dir=target.parent))
    try:
        module = _States(torch_model("float32", "sdpa"))
        openvino.save_model(_converted(module), made / "model.xml", compress_to_fp16=False)
        _check(module, made / "model.xml")
        for file in made.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        made.rename(target)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    for unfinished in target.parent.glob(f"{MAKING}*"):
        shutil.rmtree(unfinished, ignore_errors=True)  # left by one that was killed


def _converted(module: torch.nn.Module) -> Any:
    """The model, for batches of any shape.

    By OpenVINO's own front end and not its `convert_model`, which reports its use to a server.
    """
    ids = torch.randint(5, 999, (2, 16))
    example = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    front_end = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(module, example_input=example)
    return front_end.convert(front_end.load(decoder))


def _check(module: torch.nn.Module, file: Path) -> None:
    """A trace may hold for its example alone: compare with texts of other lengths."""
    ids, mask = padded(SAMPLE)
    with torch.inference_mode():
        own = module(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    found = OpenVino(file, "float32", 1).states(SAMPLE)
    for place, row in enumerate(SAMPLE):
        if not np.allclose(own[place, : len(row)], found[place, : len(row)], atol=TOLERANCE):
            raise RuntimeError("the converted model does not compute what the original does")


if __name__ == "__main__":
    main()
