"""Which accelerators the installed build of llama.cpp can compute on.

Its wheel computes on the CPU, on a Mac on the GPU too; builds for other GPUs are wheels of their
own. A build tells itself, in a process that lives as long as the question.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace

from config.errors import MotetError
from models.devices.accelerator import Accelerator
from models.workers.process import WorkerProcess

log = logging.getLogger(__name__)

WORKER = "models.backends.llamacpp.worker:DevicesHandler"
TIMEOUT_S = 30.0
"""Drivers of GPUs take seconds at times."""
HOW = "https://github.com/xorbitsai/xllamacpp#installation has builds for GPUs"
KINDS = {"CUDA": "cuda", "ROCm": "cuda", "SYCL": "xpu", "MTL": "mps", "Metal": "mps"}
"""Kinds of devices by llama.cpp's and by torch's name. Vulkan has an order of its own: left out."""
NAME = re.compile(r"(?P<kind>[A-Za-z]+)(?P<number>\d*)")


class LlamaCppDevices:
    """The accelerators of this machine that llama.cpp can use, once it was asked."""

    def __init__(self, accelerators: Sequence[Accelerator]) -> None:
        self._accelerators = accelerators
        self._is_known = not accelerators
        self.usable: Sequence[Accelerator] = ()

    async def find(self) -> None:
        """Ask the build, unless it has answered already. Does not raise."""
        if self._is_known:
            return
        try:
            names = await _ask_build()
        except MotetError as error:
            log.warning("llama.cpp does not tell its devices: %s", error.message)
            return
        self._is_known = True
        self.usable = choose_usable(self._accelerators, names)
        if not self.usable:
            present = ", ".join(each.model for each in self._accelerators)
            log.warning("llama.cpp's build computes on the CPU alone, not on %s: %s", present, HOW)


def choose_usable(accelerators: Sequence[Accelerator], names: Sequence[str]) -> list[Accelerator]:
    """Choose those that llama.cpp has a device for; what PyTorch says against them is no matter."""
    known = {torch_name for name in names if (torch_name := name_by_torch(name))}
    return [replace(each, problem="") for each in accelerators if each.name in known]


def name_by_torch(name: str) -> str | None:
    """Return torch's name for a device of llama.cpp; None for the CPU and what has none."""
    match = NAME.fullmatch(name)
    kind = KINDS.get(match["kind"]) if match else None
    if match is None or kind is None:
        return None
    return kind if kind == "mps" else f"{kind}:{match['number'] or 0}"


async def _ask_build() -> list[str]:
    worker = await WorkerProcess.start(
        WORKER, name="llama.cpp's devices", options={}, start_timeout_s=TIMEOUT_S
    )
    try:
        answer = await worker.call("devices", timeout_s=TIMEOUT_S)
    finally:
        await worker.stop(grace_s=0)
    return [str(name) for name in answer.header["devices"]]
