"""What a name to be pulled stands for. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from config.errors import Invalid, NotFound, nearest
from models.backends import BACKENDS
from models.backends.llamacpp.sources import RegistryModel, parse_source
from models.catalog.spec import ModelSpec

REGISTRIES = frozenset(("registry.ollama.ai", "ollama.com", "hf.co", "huggingface.co"))
"""Hosts that anybody may have asked; others stand in models.yaml."""
REGISTRY_BACKENDS = frozenset({"ollama", "llamacpp"})
"""Those whose sources may name a host."""


def target_of(name: str, backend: str | None, models: Mapping[str, ModelSpec]) -> tuple[str, str]:
    """Find back end and source of a model of models.yaml, or of "<backend>/<source>".

    With a `backend`, `name` is its source. Raises `NotFound` or `Invalid` with the nearest name,
    and `Invalid` (`not_pullable`) for one that leads to a host that nobody declared.
    """
    chosen, source = _find(name, backend, models)
    declared = {(spec.backend, spec.source) for spec in models.values()}
    if chosen in REGISTRY_BACKENDS and (chosen, source) not in declared:
        check_registry(source, chosen)
    return chosen, source


def check_registry(source: str, backend: str) -> None:
    """Check the host that a source leads to, such as that of `host:port/owner/model`.

    Raises `Invalid` (`not_pullable`) for one that not everybody may have asked.
    """
    if _is_foreign(source) if backend == "ollama" else _is_foreign_gguf(source):
        raise Invalid(
            f"'{source[:80]}' is at a registry that is not asked for everybody. Declare the model "
            f"in models.yaml to pull it, or take one of {', '.join(sorted(REGISTRIES))}.",
            code="not_pullable",
            details={"field": "name", "model": source, "backend": backend},
        )


def _is_foreign(source: str) -> bool:
    path = source.partition("://")[2] or source
    host, *rest = path.split("/")
    return ("://" in source or len(rest) > 1) and host.lower() not in REGISTRIES


def _is_foreign_gguf(source: str) -> bool:
    parsed = parse_source(source)
    return isinstance(parsed, RegistryModel) and parsed.host not in REGISTRIES


def _find(name: str, backend: str | None, models: Mapping[str, ModelSpec]) -> tuple[str, str]:
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
