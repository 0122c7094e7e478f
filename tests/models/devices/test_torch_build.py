"""What PyTorch was built for, read from its version file."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.devices.raw import RawDevice
from models.devices.torch_build import TorchBuild, read_torch_build

HEAD = "from typing import Optional\n\n__all__ = ['__version__', 'cuda', 'hip', 'xpu']\n"


@pytest.mark.parametrize(
    ("text", "build"),
    [
        (
            "__version__ = '2.13.0+cu130'\ncuda: Optional[str] = '13.0'\nhip = None\n",
            TorchBuild("2.13.0+cu130", cuda="13.0"),
        ),
        (
            "__version__ = '2.13.0+rocm7.1'\ncuda = None\nhip = '7.1.25424'\n",
            TorchBuild("2.13.0+rocm7.1", hip="7.1.25424"),
        ),
        (
            "__version__ = '2.13.0+xpu'\ncuda = None\nxpu: Optional[str] = '20250301'\n",
            TorchBuild("2.13.0+xpu", xpu="20250301"),
        ),
        ("__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\n", TorchBuild("2.13.0+cpu")),
    ],
)  # fmt: skip
def test_the_version_file_tells_the_build(tmp_path: Path, text: str, build: TorchBuild) -> None:
    (tmp_path / "version.py").write_text(HEAD + text)
    assert read_torch_build(tmp_path) == build


def test_without_pytorch_nothing_can_be_used(tmp_path: Path) -> None:
    build = read_torch_build(tmp_path)
    assert build == TorchBuild()
    assert "not installed" in build.why_not(RawDevice("nvidia", 0, "Any", 1))


def test_the_installed_one_is_read_without_importing_it() -> None:
    assert read_torch_build().version


def test_each_vendor_needs_its_build() -> None:
    everything = TorchBuild("2.13.0", cuda="13.0", hip="7.1", xpu="2025")
    for vendor in ("nvidia", "amd", "apple"):
        assert everything.why_not(RawDevice(vendor, 0, "Any", 1)) == ""  # type: ignore[arg-type]
    seen, unseen = (RawDevice("intel", 0, "Arc", 1, usable=usable) for usable in (True, False))
    assert everything.why_not(seen) == ""
    assert "compute runtime" in everything.why_not(unseen)
