"""Which models suit this machine: picked from `profiles.yaml` by its memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from config.settings import SHIPPED
from config.yaml_reader import read_yaml
from models.catalog.roles import ROLE_TASKS
from models.catalog.spec import Task
from models.devices import CPU, RAM, DeviceMemory
from models.devices.accelerator import Accelerator
from models.scheduling.ledger import DEFAULT_CAP_SHARE

SHARED_MEMORY_SHARE = 0.7
"""For models, of a memory that the GPU shares: the rest is the system's and the applications'."""
GB = 10**9
ORDER = ("chat", "embed", "rerank", "vision", "voice", "transcribe", "image")
"""Who gets room first: what every question needs, then what waits best."""
Kind = Literal["cpu", "gpu", "shared"]
Fit = Literal["together", "in_turn", "no"]


class SuitedModel(BaseModel):
    """A model that is worth recommending, with approximate sizes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Task
    backend: str
    source: str
    quantisation: str = ""
    download_bytes: int = Field(ge=0)
    memory_bytes: int = Field(gt=0)
    where: Literal["accelerator", "cpu"] = "accelerator"
    license: str = ""
    note: str = ""


class Profile(BaseModel):
    """The models for machines of one kind and at least this much memory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    device: Kind
    at_least_gb: float
    models: dict[Task, str]


class Profiles(BaseModel):
    """All of `profiles.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1]
    models: dict[str, SuitedModel]
    profiles: list[Profile]

    @property
    def offers(self) -> dict[str, SuitedModel]:
        """The models that can be added, by their short names: those that do not come with Motet."""
        return {name: model for name, model in self.models.items() if model.download_bytes}


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A model for a role. `fit`: beside those before it, only in turn with them, or not at all.

    `key` is its name in profiles.yaml.
    """

    role: str
    key: str
    model: SuitedModel
    device: str
    fit: Fit

    @property
    def name(self) -> str:
        """What models.yaml calls it: what comes with Motet has the name of its back end."""
        return self.key if self.model.download_bytes else self.model.backend

    @property
    def command(self) -> str:
        """What gets it; empty when it comes with Motet."""
        return f"motet models add {self.key}" if self.model.download_bytes else ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "role": self.role,
            "name": self.name,
            **self.model.model_dump(exclude={"where"}),
            "device": self.device,
            "fit": self.fit,
            "command": self.command or None,
        }


def load_profiles() -> Profiles:
    """Read the shipped profiles; blocks."""
    text = (SHIPPED / "profiles.yaml").read_text(encoding="utf-8")
    return Profiles.model_validate(read_yaml(text).value)


def choose_profile(
    profiles: Profiles, accelerators: Sequence[Accelerator], ram_bytes: int
) -> Profile:
    """Choose the profile for a machine with these accelerators, the largest first."""
    largest = accelerators[0] if accelerators else None
    kind: Kind = "cpu" if largest is None else "shared" if largest.unified else "gpu"
    memory_bytes = largest.total_bytes if largest and not largest.unified else ram_bytes
    reached = [
        profile
        for profile in profiles.profiles
        if profile.device == kind and profile.at_least_gb * GB <= memory_bytes
    ]
    return max(reached, key=lambda profile: profile.at_least_gb)


def recommend(
    profiles: Profiles,
    profile: Profile,
    accelerators: Sequence[Accelerator],
    memory: Mapping[str, DeviceMemory],
) -> list[Recommendation]:
    """Choose a model for each role that the profile fills, in the order of their importance."""
    largest = accelerators[0] if accelerators else None
    left = compute_budgets(largest, memory)
    whole = dict(left)
    recommendations = []
    for role in ORDER:
        if (task := ROLE_TASKS[role]) in profile.models:
            key = profile.models[task]
            model = profiles.models[key]
            device, pool = _device_and_memory(model, largest)
            fit = _fit(model.memory_bytes, left[pool], whole[pool])
            if fit == "together":
                left[pool] -= model.memory_bytes
            recommendations.append(Recommendation(role, key, model, device, fit))
    return recommendations


def compute_budgets(
    largest: Accelerator | None, memory: Mapping[str, DeviceMemory]
) -> dict[str, int]:
    """Compute what models may take of RAM and of the accelerator, in bytes by device."""
    shared = largest is not None and largest.unified
    share = SHARED_MEMORY_SHARE if shared else DEFAULT_CAP_SHARE
    budgets = {RAM: int(memory[RAM].total_bytes * share)}
    if largest and not largest.unified:
        budgets[largest.name] = int(largest.total_bytes * DEFAULT_CAP_SHARE)
    return budgets


def _device_and_memory(model: SuitedModel, largest: Accelerator | None) -> tuple[str, str]:
    """Return the device that a model computes on, and whose memory it takes there."""
    ollama = model.backend == "ollama"
    if largest is None or model.where == "cpu" or (largest.problem and not ollama):
        return CPU, RAM
    # As it is installed, llama.cpp computes on the GPU of a Mac and on no other.
    if model.backend == "llamacpp" and not largest.unified:
        return CPU, RAM
    return largest.name, RAM if largest.unified else largest.name


def _fit(need: int, left: int, whole: int) -> Fit:
    if need <= left:
        return "together"
    return "in_turn" if need <= whole else "no"
