"""The worker's side of what torch models share: device, type of numbers, memory."""

from __future__ import annotations

from typing import Any

import torch

CONTEXT_BYTES = 500_000_000
"""What a CUDA context takes beside the allocator's memory, where nothing tells."""


class Placement:
    """The device of a worker. `memory_fraction` bounds what it may take of an accelerator."""

    def __init__(self, device: str, memory_fraction: float | None = None) -> None:
        self.device = torch.device(device)
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
            if memory_fraction is not None:
                torch.cuda.set_per_process_memory_fraction(memory_fraction, self.device)

    @property
    def on_cpu(self) -> bool:
        return self.device.type == "cpu"

    def dtype(self, chosen: str, on_cpu: str = "float32") -> torch.dtype:
        """Choose the type of numbers; for `auto` bfloat16 where the device computes in it."""
        if chosen != "auto":
            return getattr(torch, chosen)  # type: ignore[no-any-return]
        if self.on_cpu:
            return getattr(torch, on_cpu)  # type: ignore[no-any-return]
        if self.device.type == "cuda" and not torch.cuda.is_bf16_supported():
            return torch.float16
        return torch.float16 if self.device.type == "mps" else torch.bfloat16

    def memory(self) -> dict[str, Any]:
        """Measure for heartbeats what this process takes of the accelerator."""
        if self.device.type == "cuda":
            return {"device_bytes": torch.cuda.memory_reserved(self.device) + CONTEXT_BYTES}
        if self.device.type == "xpu":
            return {"device_bytes": torch.xpu.memory_reserved(self.device)}
        return {}

    def free_bytes(self) -> int | None:
        """Measure what this process may still take of the accelerator; None where nothing tells."""
        if self.device.type != "cuda":
            return None
        free, total = torch.cuda.mem_get_info(self.device)
        held = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        allowed = torch.cuda.get_per_process_memory_fraction(self.device) * total
        return int(min(free + held, allowed - torch.cuda.memory_allocated(self.device)))

    def release(self) -> None:
        """Give cached blocks back, as after running out of memory."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
