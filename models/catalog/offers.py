"""The models of profiles.yaml that can be added, and which this machine can hold. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.catalog.profiles import Profile, Profiles, SuitedModel, compute_budgets
from models.devices import DeviceMemory
from models.devices.accelerator import Accelerator


@dataclass(frozen=True, slots=True)
class Offer:
    """A model by its short name. `suits`: the profile of this machine names it."""

    name: str
    model: SuitedModel
    fits: bool
    suits: bool

    def as_dict(self) -> dict[str, Any]:
        fields = self.model.model_dump(exclude={"where"})
        return {"name": self.name, **fields, "fits": self.fits, "suits": self.suits}


def list_offers(
    profiles: Profiles,
    profile: Profile,
    accelerators: Sequence[Accelerator],
    memory: Mapping[str, DeviceMemory],
) -> list[Offer]:
    """List every model that can be added, in the order of the file."""
    budgets = compute_budgets(accelerators[0] if accelerators else None, memory)
    most_bytes = max(budgets.values())
    suiting = set(profile.models.values())
    return [
        Offer(name, model, model.memory_bytes <= most_bytes, name in suiting)
        for name, model in profiles.offers.items()
    ]
