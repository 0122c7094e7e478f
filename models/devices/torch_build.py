"""Which accelerators the installed PyTorch was built for, without importing it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from models.devices.raw import RawDevice

LINE = re.compile(r"^(__version__|cuda|hip|xpu)\b[^=\n]*= *['\"]([^'\"]+)['\"]", re.MULTILINE)
HOW = "install PyTorch for it (https://pytorch.org/get-started/locally); Ollama can use it as it is"


@dataclass(frozen=True, slots=True)
class TorchBuild:
    """Versions, each empty where PyTorch is without it. All empty: it is not installed."""

    version: str = ""
    cuda: str = ""
    hip: str = ""
    xpu: str = ""

    def why_not(self, device: RawDevice) -> str:
        """Tell why it cannot use a device, and what to do; empty when it can."""
        if not self.version:
            return "PyTorch is not installed"
        built = {
            "nvidia": self.cuda,
            "amd": self.hip,
            "intel": self.xpu,
            "apple": self.version,  # every build for a Mac
        }
        if not built[device.vendor]:
            return f"PyTorch {self.version} is not built for {device.vendor} GPUs: {HOW}"
        if device.vendor == "nvidia" and device.api and device.api[0] < _major(self.cuda):
            newest = ".".join(map(str, device.api))
            return (
                f"driver {device.driver} speaks CUDA {newest} at most, and PyTorch "
                f"{self.version} needs CUDA {_major(self.cuda)}: update the driver"
            )
        if device.vendor == "intel" and not device.usable:
            return f"PyTorch {self.version} does not see it: install Intel's compute runtime"
        return ""


def read_torch_build(folder: Path | None = None) -> TorchBuild:
    """Read which build workers of this environment import; `folder` is its package's."""
    if folder is None:
        spec = find_spec("torch")
        if spec is None or spec.origin is None:
            return TorchBuild()
        folder = Path(spec.origin).parent
    try:
        text = (folder / "version.py").read_text()
    except OSError:
        return TorchBuild()
    fields = dict(LINE.findall(text))
    return TorchBuild(
        fields.get("__version__", ""),
        fields.get("cuda", ""),
        fields.get("hip", ""),
        fields.get("xpu", ""),
    )


def _major(version: str) -> int:
    first = version.split(".")[0]
    return int(first) if first.isdigit() else 0
