"""What a name stands for now: a model, and why it was taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.availability import PassedOver
from models.catalog.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """The model taken for a name, and why the ones before it in the role were not."""

    model: ModelSpec
    role: str | None
    reason: str
    passed_over: tuple[PassedOver, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.name,
            "backend": self.model.backend,
            "source": self.model.source,
            "role": self.role,
            "reason": self.reason,
            "passed_over": [each.as_dict() for each in self.passed_over],
        }
