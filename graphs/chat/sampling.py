"""How nodes that ask a chat model say how it writes: temperature, bounds, seed and the like.

Owns these fields and their checks: of what stands in the file when it compiles, of what templates
give when the node runs. Their meaning and bounds are `models.capabilities.sampling`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, ValidationError

from config.errors import Invalid
from config.validation_words import word_error
from graphs.compile.node import CompileScope, Renderer
from graphs.spec.node_spec import NodeSpec
from graphs.spec.problems import Path
from models.capabilities.sampling import Sampling

NAMES = tuple(Sampling.model_fields)


class SamplingSpec(NodeSpec):
    """Base of the specs of nodes that ask a chat model for an answer."""

    temperature: float | str | None = Field(None, description="0: always the likeliest token.")
    top_p: float | str | None = Field(
        None, description="Among the likeliest tokens that have this probability."
    )
    top_k: int | str | None = Field(None, description="Among so many likeliest tokens; 0: all.")
    max_tokens: int | str | None = Field(
        None, description="Tokens of an answer, thinking included; default: half the context."
    )
    seed: int | str | None = Field(None, description="The same seed gives the same answer.")
    stop: str | list[str] | None = Field(None, description="Texts before which an answer ends.")


def compile_sampling(spec: SamplingSpec, scope: CompileScope) -> dict[str, Renderer]:
    """Compile the fields that are given, and report those that are wrong as they stand."""
    fields = {name: getattr(spec, name) for name in NAMES}
    literal = {name: value for name, value in fields.items() if not _is_template(value)}
    for path, message in _problems(literal):
        scope.problem(path, message)
    return scope.optional(**fields)


def read_sampling(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a node's rendered inputs say of sampling, as options of a call.

    What is empty is not said. Raises `Invalid` (`invalid_request`) that names the field.
    """
    values = {name: value for name in NAMES if (value := inputs.get(name)) not in (None, "", [])}
    for path, message in _problems(values):
        field = ".".join(map(str, path))
        raise Invalid(f"`{field}`: {message}", details={"field": field})
    return Sampling.model_validate(values).model_dump(exclude_none=True)


def _is_template(value: Any) -> bool:
    texts = value if isinstance(value, list) else [value]
    return any(isinstance(each, str) and "{" in each for each in texts)


def _problems(values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    try:
        Sampling.model_validate(values)
    except ValidationError as error:
        for each in error.errors():
            yield each["loc"], word_error(each)
