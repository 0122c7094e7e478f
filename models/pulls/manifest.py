"""What a registry says of a model: the manifest of a tag, with its layers. Pure.

Owns which layers are read. Invariant: every digest is a SHA-256 in hexadecimal, so that it may be
the name of a file.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints, ValidationError

from config.errors import Invalid, Unavailable

MAX_SMALL_BYTES = 2**20
"""Of a manifest and of a layer that is text; more is none."""
KIND = "application/vnd.ollama.image."
MODEL, PROJECTOR, ADAPTER, PARAMS = (
    f"{KIND}{name}" for name in ("model", "projector", "adapter", "params")
)
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class Layer(BaseModel):
    """One blob of a model."""

    mediaType: str
    digest: Digest
    size: int = Field(ge=0)

    @property
    def sha256(self) -> str:
        return self.digest.removeprefix("sha256:")


class Manifest(BaseModel):
    """A model as its registry lists it."""

    layers: list[Layer] = Field(max_length=1000)

    def of_kind(self, media_type: str) -> list[Layer]:
        """List the layers of a media type, in their order."""
        return [each for each in self.layers if each.mediaType == media_type]

    @property
    def loaded_layers(self) -> list[Layer]:
        """The layers that a GGUF model is loaded from: weights, projector."""
        return [each for kind in (MODEL, PROJECTOR) for each in self.of_kind(kind)]


def parse_manifest(data: bytes, name: str) -> Manifest:
    """Read a manifest.

    Raises `Unavailable` (`pull_failed`) for what is none, and `Invalid` (`not_pullable`) for a
    model that is no GGUF file, or consists of more than llama.cpp loads by itself.
    """
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))
        raise Unavailable(
            f"The registry's manifest of '{name}' is none ({field or 'no JSON'}). Nothing of it "
            "was taken.",
            code="pull_failed",
            details={"model": name},
        ) from error
    if problem := _find_problem(manifest):
        raise Invalid(
            f"'{name}' cannot be used: {problem}.", code="not_pullable", details={"model": name}
        )
    return manifest


def _find_problem(manifest: Manifest) -> str | None:
    models = len(manifest.of_kind(MODEL))
    if models == 0:
        kinds = {re.sub(r".*\.", "", each.mediaType)[:40] for each in manifest.layers}
        return f"it holds no GGUF file, but {', '.join(sorted(kinds)) or 'nothing'}"
    if models > 1 or len(manifest.of_kind(PROJECTOR)) > 1:
        return "its weights are in several files"
    if manifest.of_kind(ADAPTER):
        return "it is an adapter, which changes another model's weights; take that model"
    return None
