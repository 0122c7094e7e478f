"""What a name to be pulled stands for. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from config.errors import Invalid, NotFound, nearest
from models.backends import BACKENDS
from models.catalog.spec import ModelSpec


def target_of(name: str, backend: str | None, models: Mapping[str, ModelSpec]) -> tuple[str, str]:
    """Find back end and source of a model of models.yaml, or of "<backend>/<source>".

    With a `backend`, `name` is its source. Raises `NotFound` or `Invalid` with the nearest name.
    """
    if backend is not None:
        if backend not in BACKENDS:
            hint = nearest(backend, BACKENDS)
            raise Invalid(
                f"There is no back end '{backend[:80]}'. {hint}",
                code="unknown_backend",
                details={"field": "backend"},
            )
        return backend, name
    if spec := models.get(name):
        return spec.backend, spec.source
    first, _, source = name.partition("/")
    if first in BACKENDS and source:
        return first, source
    raise NotFound(
        f"There is no model '{name[:80]}' in models.yaml. {nearest(name, list(models))} To pull "
        "one that is not declared, name its back end too, as in ollama/llama3.2.",
        code="model_not_found",
        details={"field": "model"},
    )
