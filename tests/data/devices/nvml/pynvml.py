"""A driver library as `FAKE_NVML` (JSON) describes it, with the answers of the real one's shape."""

from __future__ import annotations

import json
import os
import time
from types import SimpleNamespace
from typing import Any

SCENE: dict[str, Any] = json.loads(os.environ.get("FAKE_NVML", "{}"))


class NVMLError(Exception):
    pass


class NVMLError_NotSupported(NVMLError):
    pass


def nvmlInit() -> None:
    print("a library that talks on standard output")
    if SCENE.get("hangs"):
        time.sleep(600)
    if SCENE.get("crashes"):
        os.abort()
    if error := SCENE.get("error"):
        raise NVMLError(error)


def nvmlShutdown() -> None:
    pass


def nvmlSystemGetDriverVersion() -> str:
    return "580.65.06"


def nvmlSystemGetCudaDriverVersion() -> int:
    return SCENE.get("cuda", 13000)


def nvmlDeviceGetCount() -> int:
    return len(SCENE["gpus"])


def nvmlDeviceGetHandleByIndex(index: int) -> dict[str, Any]:
    gpu = SCENE["gpus"][index]
    if gpu.get("lost"):
        raise NVMLError("GPU is lost")
    return gpu


def nvmlDeviceGetMigMode(gpu: dict[str, Any]) -> list[int]:
    if "parts" not in gpu:
        raise NVMLError_NotSupported("Not Supported")
    return [int(bool(gpu["parts"])), 0]


def nvmlDeviceGetMaxMigDeviceCount(gpu: dict[str, Any]) -> int:
    return 7


def nvmlDeviceGetMigDeviceHandleByIndex(gpu: dict[str, Any], index: int) -> dict[str, Any]:
    if index >= len(gpu["parts"]):
        raise NVMLError("Not Found")
    return gpu["parts"][index]


def nvmlDeviceGetName(gpu: dict[str, Any]) -> bytes:
    return gpu["name"].encode()


def nvmlDeviceGetUUID(gpu: dict[str, Any]) -> str:
    return gpu["uuid"]


def nvmlDeviceGetMemoryInfo(gpu: dict[str, Any]) -> SimpleNamespace:
    if "total" not in gpu:
        raise NVMLError_NotSupported("Not Supported")
    return SimpleNamespace(total=gpu["total"], free=gpu["total"] // 2, used=gpu["total"] // 2)


def nvmlDeviceGetHandleByUUID(uuid: str) -> dict[str, Any]:
    for gpu in SCENE["gpus"]:
        if gpu["uuid"] == uuid:
            return gpu
    raise NVMLError("Not Found")
