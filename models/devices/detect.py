"""Finds the accelerators of this machine, in a child process that cannot hurt the server."""

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
from models.devices.visible import visible
from models.workers.launch import ROOT

DETECT_S = 15.0
"""A driver that sleeps takes seconds to wake; one that hangs is given up."""
SIGNS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""GPUs that are not on a PCI bus: of boards, and of Linux inside Windows."""
TORCH_NAMES: dict[Vendor, str] = {"nvidia": "cuda", "amd": "cuda", "intel": "xpu", "apple": "mps"}


@dataclass(frozen=True, slots=True)
class DetectedDevices:
    """What there is. `folders`: by device name, where its counters are; `problems` are sentences
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
    """Every accelerator that is visible to this process, the largest first. Does not raise.

    `environment` is the child's, too; `torch` is the build that workers will use.
    """
    variables = os.environ if environment is None else environment
    told: list[Mapping[str, Any]] = []
    trouble = await _listen(told, sys_root, variables, timeout_s)
    problems = [f"looking for GPUs {trouble}"] if trouble else []
    problems += [f"{each['vendor']}: {each['problem']}" for each in told if each["problem"]]
    raw = [[_raw(device) for device in each["devices"]] for each in told]
    seen = [device for devices in raw for device in visible(devices, variables)]
    return _found(seen, torch or read_torch_build(), problems)


def may_have_accelerators(sys_root: Path = SYS) -> bool:
    """Whether a look is worth a process: something of a kind that could be one is here."""
    vendors: tuple[Vendor, ...] = ("nvidia", "amd", "intel")
    return (
        platform.system() == "Darwin"
        or any(sign.exists() for sign in SIGNS)
        or any(displays(sys_root, vendor) for vendor in vendors)
    )


async def _listen(
    told: list[Mapping[str, Any]], sys_root: Path, environment: Mapping[str, str], timeout_s: float
) -> str:
    """Add what the child tells to `told`, to its end; why it did not get there, or nothing."""
    try:
        async with asyncio.timeout(timeout_s):
            async with contextlib.aclosing(_tell(sys_root, environment)) as lines:
                async for line in lines:
                    told.append(json.loads(line))
    except TimeoutError:
        return f"took more than {timeout_s:g} s: a driver hangs"
    except (OSError, ValueError) as error:
        return f"failed: {error}"
    if len(told) < len(VENDORS):
        return f"ended early, at {VENDORS[len(told)]}: a driver crashes"
    return ""


async def _tell(sys_root: Path, environment: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
    """The lines of the child, which is ended when the reader stops reading."""
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
        await asyncio.shield(child.wait())


def _raw(told: Mapping[str, Any]) -> RawDevice:
    return RawDevice(**{**told, "api": tuple(told["api"])})


def _found(seen: Sequence[RawDevice], torch: TorchBuild, problems: list[str]) -> DetectedDevices:
    named = list(zip(_names(seen, torch), seen, strict=True))
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


def _names(seen: Sequence[RawDevice], torch: TorchBuild) -> list[str]:
    """Torch's names; of two vendors that it names alike the one that it is built for has them."""
    names: dict[Vendor, str] = {}
    for vendor in sorted(
        {device.vendor for device in seen},
        key=lambda vendor: (vendor == "amd") != bool(torch.hip),
    ):
        prefix = TORCH_NAMES[vendor]
        names[vendor] = vendor if prefix in names.values() else prefix
    counts: dict[Vendor, int] = {}
    given = []
    for device in seen:
        number = counts.get(device.vendor, 0)
        counts[device.vendor] = number + 1
        given.append("mps" if device.vendor == "apple" else f"{names[device.vendor]}:{number}")
    return given
