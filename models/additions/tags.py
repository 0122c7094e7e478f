"""Models of registries that speak Ollama's protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from models.additions.candidate import Candidate, guess_task, name_after
from models.backends.llamacpp.sources import DEFAULT_TAG, RegistryModel
from models.catalog.recognition import GGUF
from models.pulls.registry import RegistryPuller

PARAMETERS: Mapping[str, tuple[type, ...]] = {
    "temperature": (int, float),
    "top_p": (int, float),
    "min_p": (int, float),
    "repeat_penalty": (int, float),
    "top_k": (int,),
}
"""What a registry says of sampling that our back end has an option for, with its types."""


async def describe_tag(registry: RegistryPuller, model: RegistryModel, source: str) -> Candidate:
    """Describe a tag. Raises as `RegistryPuller.pull` does."""
    described = await registry.describe(model.registry, model.name, model.tag)
    base = model.name.partition("/")[2]
    name = base if model.tag == DEFAULT_TAG else f"{base}-{model.tag}"
    return Candidate(
        name_after(name),
        guess_task(model.name),
        GGUF.backend,
        source,
        read_parameters(described.params),
        download_bytes=described.size_bytes,
        memory_bytes=described.size_bytes,
    )


def read_parameters(text: str) -> dict[str, Any]:
    """Read sampling parameters as options of a model; those that are unknown are left out."""
    try:
        parameters = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(parameters, dict):
        return {}
    options: dict[str, Any] = {
        key: value
        for key, types in PARAMETERS.items()
        if isinstance(value := parameters.get(key), types) and not isinstance(value, bool)
    }
    stops = parameters.get("stop")
    if isinstance(stops, list) and stops and all(isinstance(stop, str) for stop in stops):
        options["stop"] = stops
    return options
