"""The profile of this machine for `GET /models/profile`: devices, and models that suit it."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from config.errors import MotetError
from config.redaction import publish_details
from models.backends.common.sources import folder_of
from models.catalog.offers import list_offers
from models.catalog.profiles import (
    Recommendation,
    SuitedModel,
    choose_profile,
    load_profiles,
    recommend,
)
from models.devices import RAM, DeviceMemory
from models.devices.accelerator import Accelerator
from models.devices.machine import Machine
from models.devices.torch_build import read_torch_build
from models.manager import Models
from models.pulls.hub import BACKENDS as HUB_BACKENDS


async def machine_profile(machine: Machine, models: Models) -> Any:
    """Describe the devices with their problems, and a model for each role with its command.

    Asks the back ends what they have, each for a bounded time.
    """
    memory = machine.read()
    profiles = await asyncio.to_thread(load_profiles)
    accelerators = machine.accelerators
    profile = choose_profile(profiles, accelerators, memory[RAM].total_bytes)
    recommended = recommend(profiles, profile, accelerators, memory)
    report = {
        "system": _system(),
        "pytorch": asdict(read_torch_build()),
        "devices": [_ram(memory[RAM]), *(_device(each, memory) for each in accelerators)],
        "problems": list(machine.detected.problems),
        "profile": {"name": profile.name, "title": profile.title},
        "offers": [
            offer.as_dict() for offer in list_offers(profiles, profile, accelerators, memory)
        ],
        "recommended": await asyncio.gather(*(_describe(each, models) for each in recommended)),
        "roles": [role.as_dict() for role in await models.roles()],
    }
    # What drivers say names their files, and reasons name addresses.
    return publish_details(report, [])


def _system() -> dict[str, Any]:
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _ram(memory: DeviceMemory) -> dict[str, Any]:
    return {"device": RAM, "total_bytes": memory.total_bytes, "free_bytes": memory.available_bytes}


def _device(accelerator: Accelerator, memory: Mapping[str, DeviceMemory]) -> dict[str, Any]:
    read = memory[RAM if accelerator.unified else accelerator.name]
    return {
        "device": accelerator.name,
        "vendor": accelerator.vendor,
        "model": accelerator.model,
        "driver": accelerator.driver,
        "uuid": accelerator.uuid,
        "total_bytes": read.total_bytes,
        "free_bytes": read.available_bytes,
        "unified": accelerator.unified,
        "problem": accelerator.problem or read.problem or None,
    }


async def _describe(recommendation: Recommendation, models: Models) -> dict[str, Any]:
    is_here = await _is_here(recommendation.name, recommendation.model, models)
    return {**recommendation.as_dict(), "here": is_here}


async def _is_here(name: str, model: SuitedModel, models: Models) -> bool:
    """Tell whether a model that is recommended needs no command: it is declared, or found."""
    if not model.download_bytes:  # the model comes with Motet
        return True
    if model.backend in HUB_BACKENDS and folder_of(model.source) is None:
        return False  # the back end may be ready, but would have to fetch the model first
    declared = models.file.models.get(name)
    known = name if declared else f"{model.backend}/{model.source}"
    try:
        return await models.unavailable_reason(known, model.task) is None
    except MotetError:
        return False
