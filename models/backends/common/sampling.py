"""Sampling in the words of each back end. Pure.

Owns what holds for one call, out of the model's options and the call's own, and how each back end
is told. The vocabulary is `models.capabilities.sampling`'s. Invariant: what a call says goes before
what models.yaml says, but for stops, which add up: those of a model often belong to its template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.capabilities.sampling import Sampling, TokenChoice

NAMES = tuple(Sampling.model_fields)
OPENAI_FIELDS = ("temperature", "top_p", "seed", "stop")
"""What OpenAI's own client has parameters for, and all its servers know."""
OLLAMA_NAMES: Mapping[str, str] = {"max_tokens": "num_predict"}
"""Ollama's own names, where they are not ours."""


def dump_sampling(options: TokenChoice) -> dict[str, Any]:
    """Return what a model's options say of sampling, without what they leave open."""
    values = {name: getattr(options, name, None) for name in NAMES}
    return {name: value for name, value in values.items() if value not in (None, [])}


def take_sampling(
    own: Mapping[str, Any], call: dict[str, Any], stop: Sequence[str] | None = None
) -> dict[str, Any]:
    """Take what a call says of sampling out of its options; return it with the model's `own`."""
    said = {name: value for name in NAMES if (value := call.pop(name, None)) is not None}
    stops = list(dict.fromkeys([*own.get("stop", ()), *said.pop("stop", ()), *(stop or ())]))
    return {**own, **said, **({"stop": stops} if stops else {})}


def for_openai(sampling: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters of OpenAI's client; in `extra_body` what only its servers know.

    `max_tokens` is among these: OpenAI has a newer name for it, which few other servers know.
    """
    more = {name: value for name, value in sampling.items() if name not in OPENAI_FIELDS}
    known = {name: sampling[name] for name in OPENAI_FIELDS if name in sampling}
    return {**known, "extra_body": more}


def for_ollama(sampling: Mapping[str, Any]) -> dict[str, Any]:
    """Return `options` of Ollama's API."""
    return {OLLAMA_NAMES.get(name, name): value for name, value in sampling.items()}


def for_worker(sampling: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a request to a worker of ours, all of them."""
    return {**dict.fromkeys(NAMES), "stop": [], **sampling}
