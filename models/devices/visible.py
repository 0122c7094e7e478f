"""Which devices the environment's variables leave visible, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.devices.raw import RawDevice


def visible(devices: Sequence[RawDevice], environment: Mapping[str, str]) -> list[RawDevice]:
    """The devices of one vendor as a process of ours sees them: the first is number 0.

    Numbers in the variables count by PCI address: workers are started with
    `CUDA_DEVICE_ORDER=PCI_BUS_ID`, so that they mean the same there.
    """
    left = list(devices)
    for variables in _variables(devices):
        given = [environment[name] for name in variables if name in environment]
        left = _chosen(left, given[0]) if given else _all(left)
    return left


def _variables(devices: Sequence[RawDevice]) -> Sequence[tuple[str, ...]]:
    """Variables that are applied one after the other; of a tuple the first that is set."""
    vendor = devices[0].vendor if devices else ""
    if vendor == "nvidia":
        return [("CUDA_VISIBLE_DEVICES",)]
    if vendor == "amd":
        return [("ROCR_VISIBLE_DEVICES",), ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")]
    return []  # what PyTorch tells of Intel's is filtered already


def _all(devices: list[RawDevice]) -> list[RawDevice]:
    # Of divided GPUs CUDA opens one part, unless another is named.
    whole = [device for device in devices if not device.mig]
    return whole or devices[:1]


def _chosen(devices: list[RawDevice], wanted: str) -> list[RawDevice]:
    chosen: list[RawDevice] = []
    for word in wanted.split(","):
        found = _find(devices, word.strip())
        if found is None or found in chosen:  # as CUDA does: what follows is not seen either
            break
        chosen.append(found)
    return chosen


def _find(devices: list[RawDevice], word: str) -> RawDevice | None:
    if word.isdigit():
        numbers = list(dict.fromkeys(device.number for device in devices))
        if int(word) >= len(numbers):
            return None
        number = numbers[int(word)]
        return next(device for device in devices if device.number == number)
    return next((each for each in devices if word and each.uuid.startswith(word)), None)
