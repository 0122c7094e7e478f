"""Which devices the environment's variables leave visible, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.devices.raw import RawDevice


def filter_visible(devices: Sequence[RawDevice], environment: Mapping[str, str]) -> list[RawDevice]:
    """Return the devices of one vendor as a process of ours sees them: the first is number 0.

    Numbers in the variables count by PCI address: workers are started with
    `CUDA_DEVICE_ORDER=PCI_BUS_ID`, so that they mean the same there.
    """
    left = list(devices)
    for variables in _variables(devices):
        settings = [environment[name] for name in variables if name in environment]
        left = _choose(left, settings[0]) if settings else _choose_default(left)
    return left


def _variables(devices: Sequence[RawDevice]) -> Sequence[tuple[str, ...]]:
    """Return the variables that apply one after the other; of a tuple the first that is set."""
    vendor = devices[0].vendor if devices else ""
    if vendor == "nvidia":
        return [("CUDA_VISIBLE_DEVICES",)]
    if vendor == "amd":
        return [("ROCR_VISIBLE_DEVICES",), ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")]
    return []  # what PyTorch tells of Intel's is filtered already


def _choose_default(devices: list[RawDevice]) -> list[RawDevice]:
    # Of divided GPUs CUDA opens one part, unless another is named.
    whole = [device for device in devices if not device.mig]
    return whole or devices[:1]


def _choose(devices: list[RawDevice], choice: str) -> list[RawDevice]:
    chosen: list[RawDevice] = []
    for word in choice.split(","):
        device = _find(devices, word.strip())
        if device is None or device in chosen:  # as CUDA does: what follows is not seen either
            break
        chosen.append(device)
    return chosen


def _find(devices: list[RawDevice], word: str) -> RawDevice | None:
    if word.isdigit():
        numbers = list(dict.fromkeys(device.number for device in devices))
        if int(word) >= len(numbers):
            return None
        number = numbers[int(word)]
        return next(device for device in devices if device.number == number)
    return next((each for each in devices if word and each.uuid.startswith(word)), None)
