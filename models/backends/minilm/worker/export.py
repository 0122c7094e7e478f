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

from models.backends.minilm.worker.runtimes import OpenVino, load_torch_model, pad

UNFINISHED_PREFIX = "making-"
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
    unfinished_folder = Path(tempfile.mkdtemp(prefix=UNFINISHED_PREFIX, dir=target.parent))
    try:
        module = _States(load_torch_model("float32", "sdpa"))
        openvino.save_model(
            _convert(module), unfinished_folder / "model.xml", compress_to_fp16=False
        )
        _check(module, unfinished_folder / "model.xml")
        for file in unfinished_folder.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        unfinished_folder.rename(target)
    except BaseException:
        shutil.rmtree(unfinished_folder, ignore_errors=True)
        raise
    for unfinished in target.parent.glob(f"{UNFINISHED_PREFIX}*"):
        shutil.rmtree(unfinished, ignore_errors=True)  # left by one that was killed


def _convert(module: torch.nn.Module) -> Any:
    """Convert the model, for batches of any shape.

    By OpenVINO's own front end and not its `convert_model`, which reports its use to a server.
    """
    ids = torch.randint(5, 999, (2, 16))
    example = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    front_end = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(module, example_input=example)
    return front_end.convert(front_end.load(decoder))


def _check(module: torch.nn.Module, file: Path) -> None:
    """Compare with texts of other lengths: a trace may hold for its example alone."""
    ids, mask = pad(SAMPLE)
    with torch.inference_mode():
        own = module(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    states = OpenVino(file, "float32", 1).states(SAMPLE)
    for row_number, row in enumerate(SAMPLE):
        if not np.allclose(
            own[row_number, : len(row)], states[row_number, : len(row)], atol=TOLERANCE
        ):
            raise RuntimeError("the converted model does not compute what the original does")


if __name__ == "__main__":
    main()
