"""What the roles name and is not on this machine, with what it takes to get it.

Asks the Hub and registries for sizes, one model after the other; fetches nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.errors import MotetError
from models.additions.repositories import describe_repository
from models.additions.tags import describe_tag
from models.backends.common.sources import folder_of
from models.backends.llamacpp.pulled_files import find_files
from models.backends.llamacpp.sources import HubModel, RegistryModel, parse_source
from models.catalog.file import ModelsFile
from models.catalog.profiles import Profiles
from models.catalog.roles import role_task
from models.catalog.spec import ModelSpec
from models.driver_cache import DriverCache
from models.pulls.hub import BACKENDS as HUB_BACKENDS
from models.pulls.hub import HubPuller
from models.pulls.registry import RegistryPuller
from models.pulls.registry_store import MODELS_FOLDER


@dataclass(frozen=True, slots=True)
class MissingModel:
    """A model that a role names. `download_bytes` is None where nobody says how large it is."""

    name: str
    role: str
    spec: ModelSpec
    download_bytes: int | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "role": self.role,
            "backend": self.spec.backend,
            "source": self.spec.source,
            "download_bytes": self.download_bytes,
        }


async def list_missing(
    file: ModelsFile, drivers: DriverCache, profiles: Profiles, home: Path
) -> list[MissingModel]:
    """List what a pull would get of all that the roles name, each model once.

    Models whose files are here, and those that are not pulled at all, are left out.
    """
    sizes = {(each.backend, each.source): each.download_bytes for each in profiles.models.values()}
    missing = []
    for role, spec in _named_by_roles(file, drivers):
        if await _is_absent(spec, drivers, home):
            size = sizes.get((spec.backend, spec.source)) or await _ask_size(spec, home)
            missing.append(MissingModel(spec.name, role, spec, size))
    return missing


def _named_by_roles(file: ModelsFile, drivers: DriverCache) -> Iterator[tuple[str, ModelSpec]]:
    names_so_far = set()
    for role, names in file.roles.items():
        task = role_task(file, role)
        for name in names:
            for spec in _specs_of(name, task, file, drivers):
                if spec.name not in names_so_far:
                    names_so_far.add(spec.name)
                    yield role, spec


def _specs_of(name: str, task: Any, file: ModelsFile, drivers: DriverCache) -> list[ModelSpec]:
    if declared := file.models.get(name):
        return [declared]
    backend, _, source = name.partition("/")
    if source != "*":
        named = drivers.get(backend).named(source, task)
        return [named] if named else []
    return [each for each in file.models.values() if each.backend == backend and each.task == task]


async def _is_absent(spec: ModelSpec, drivers: DriverCache, home: Path) -> bool:
    """Tell whether a model can be pulled, and its files are not here."""
    if spec.backend in HUB_BACKENDS:
        return bool(spec.source) and await asyncio.to_thread(folder_of, spec.source) is None
    if spec.backend == "llamacpp":
        return await asyncio.to_thread(_lacks_files, spec.source, home)
    if spec.backend in ("ollama", "coqui"):
        return await (await drivers.open(spec.backend)).available(spec) is not None
    return False


def _lacks_files(source: str, home: Path) -> bool:
    try:
        return find_files(source, home) is None
    except MotetError:
        return False  # no pull mends a wrong source


async def _ask_size(spec: ModelSpec, home: Path) -> int | None:
    try:
        if spec.backend in HUB_BACKENDS:
            return (await describe_repository(HubPuller(), HubModel(spec.source))).download_bytes
        if spec.backend == "llamacpp":
            match parse_source(spec.source):
                case HubModel() as model:
                    return (await describe_repository(HubPuller(), model)).download_bytes
                case RegistryModel() as model:
                    puller = RegistryPuller(home / MODELS_FOLDER)
                    return (await describe_tag(puller, model, spec.source)).download_bytes
    except MotetError:
        return None  # the pull itself will say why
    return None
