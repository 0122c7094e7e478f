"""Finds the accelerators of this machine, in a child process that cannot hurt the server.

Owns the names that torch and our ledger have for them. How each vendor's driver is asked is the
child's: `models.devices.worker`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.devices.accelerator import Accelerator, Vendor
from models.devices.pci import SYS, displays
from models.devices.raw import VENDORS, RawDevice
from models.devices.torch_build import TorchBuild, read_torch_build
from models.devices.visible import filter_visible
from models.workers.environment import worker_environment
from models.workers.launch import ROOT

DETECT_S = 15.0
"""A driver that sleeps takes seconds to wake; one that hangs is given up."""
SIGNS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""GPUs that are not on a PCI bus: of boards, and of Linux inside Windows."""
TORCH_NAMES: dict[Vendor, str] = {"nvidia": "cuda", "amd": "cuda", "intel": "xpu", "apple": "mps"}


@dataclass(frozen=True, slots=True)
class DetectedDevices:
    """What was found. `folders`: by device name, where its counters are; `problems` are sentences
    for people about what could not be found out."""

    accelerators: tuple[Accelerator, ...] = ()
    problems: tuple[str, ...] = ()
    folders: Mapping[str, Path] = field(default_factory=dict)


async def detect(
    sys_root: Path = SYS,
    *,
    environment: Mapping[str, str] | None = None,
    torch: TorchBuild | None = None,
    timeout_s: float = DETECT_S,
) -> DetectedDevices:
    """Find every accelerator that is visible to this process, the largest first. Does not raise.

    `environment` is the child's, too; `torch` is the build that workers will use.
    """
    variables = worker_environment() if environment is None else environment
    reports: list[Mapping[str, Any]] = []
    trouble = await _collect_reports(reports, sys_root, variables, timeout_s)
    problems = [f"looking for GPUs {trouble}"] if trouble else []
    problems += [f"{each['vendor']}: {each['problem']}" for each in reports if each["problem"]]
    raw = [[_parse_device(device) for device in each["devices"]] for each in reports]
    visible_devices = [device for devices in raw for device in filter_visible(devices, variables)]
    return _assemble(visible_devices, torch or read_torch_build(), problems)


def may_have_accelerators(sys_root: Path = SYS) -> bool:
    """Tell whether a look is worth a process: something that could be an accelerator is here."""
    vendors: tuple[Vendor, ...] = ("nvidia", "amd", "intel")
    return (
        platform.system() == "Darwin"
        or any(sign.exists() for sign in SIGNS)
        or any(displays(sys_root, vendor) for vendor in vendors)
    )


async def _collect_reports(
    reports: list[Mapping[str, Any]],
    sys_root: Path,
    environment: Mapping[str, str],
    timeout_s: float,
) -> str:
    """Add what the child reports to `reports`; return why it did not get to its end, or ""."""
    try:
        async with asyncio.timeout(timeout_s):
            async with contextlib.aclosing(_read_lines(sys_root, environment)) as lines:
                async for line in lines:
                    reports.append(json.loads(line))
    except TimeoutError:
        return f"took more than {timeout_s:g} s: a driver hangs"
    except (OSError, ValueError) as error:
        return f"failed: {error}"
    if len(reports) < len(VENDORS):
        return f"ended early, at {VENDORS[len(reports)]}: a driver crashes"
    return ""


async def _read_lines(
    sys_root: Path, environment: Mapping[str, str]
) -> AsyncGenerator[bytes, None]:
    """Yield the lines of the child, which is killed when the reader stops reading."""
    path = os.pathsep.join(filter(None, [environment.get("PYTHONPATH"), str(ROOT)]))
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "models.devices.worker", str(sys_root)),
        env={**environment, "PYTHONPATH": path},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    assert child.stdout
    try:
        async for line in child.stdout:
            yield line
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        # Shielded: a reader that was cancelled must not leave a zombie behind.
        await asyncio.shield(child.wait())


def _parse_device(report: Mapping[str, Any]) -> RawDevice:
    return RawDevice(**{**report, "api": tuple(report["api"])})


def _assemble(
    visible_devices: Sequence[RawDevice], torch: TorchBuild, problems: list[str]
) -> DetectedDevices:
    named = list(zip(_names(visible_devices, torch), visible_devices, strict=True))
    accelerators = [
        Accelerator(
            name=name,
            vendor=device.vendor,
            model=device.model,
            total_bytes=device.total_bytes,
            unified=device.unified,
            driver=device.driver,
            uuid=device.uuid,
            problem=torch.why_not(device),
        )
        for name, device in named
    ]
    accelerators.sort(key=lambda each: -each.total_bytes)
    folders = {name: Path(device.folder) for name, device in named if device.folder}
    return DetectedDevices(tuple(accelerators), tuple(problems), folders)


def _names(visible_devices: Sequence[RawDevice], torch: TorchBuild) -> list[str]:
    """Name the devices as torch does; of two vendors that it names alike, its own build's first."""
    names: dict[Vendor, str] = {}
    for vendor in sorted(
        {device.vendor for device in visible_devices},
        key=lambda vendor: (vendor == "amd") != bool(torch.hip),
    ):
        prefix = TORCH_NAMES[vendor]
        names[vendor] = vendor if prefix in names.values() else prefix
    counts: dict[Vendor, int] = {}
    names_in_order = []
    for device in visible_devices:
        number = counts.get(device.vendor, 0)
        counts[device.vendor] = number + 1
        names_in_order.append(
            "mps" if device.vendor == "apple" else f"{names[device.vendor]}:{number}"
        )
    return names_in_order
