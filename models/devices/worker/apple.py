"""Apple's GPU, which shares the machine's memory."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

from models.devices.raw import RawDevice


def find(sys: Path) -> Sequence[RawDevice]:
    """Describe the GPU of a Mac with a processor of Apple's; nothing on other machines."""
    if platform.system() != "Darwin" or platform.machine() != "arm64":
        return ()
    version = platform.mac_ver()[0]
    return [
        RawDevice(
            vendor="apple",
            number=0,
            model=_sysctl("machdep.cpu.brand_string") or "Apple GPU",
            total_bytes=int(_sysctl("hw.memsize") or 0),
            driver=f"macOS {version}",
            unified=True,
        )
    ]


def _sysctl(name: str) -> str:
    result = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, check=False)
    return result.stdout.strip()
