"""What follows a node: branches with conditions, and their short forms in YAML.

Owns how one entry of `edges` is read and written back. Whether its targets exist, and whether
loops are bounded, is `graphs.compile.flow`'s.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from graphs.spec.base import Name, SpecModel


def _expand_branches(value: Any) -> Any:
    if isinstance(value, str):
        return [{"to": value}]
    if not isinstance(value, list):
        return [value]
    if value and all(isinstance(item, str) for item in value):
        return [{"to": value}]
    return value


def _expand_names(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Branch(SpecModel):
    """One way to go on. Of several, the first whose condition holds is taken."""

    when: str | bool | None = Field(None, description="An expression over the channels.")
    to: Annotated[list[Name], BeforeValidator(_expand_names)] | None = Field(
        None, description="The next node, several in parallel, or `end`.", min_length=1
    )
    otherwise: Annotated[list[Name], BeforeValidator(_expand_names)] | None = Field(
        None, alias="else", description="The next node where no condition holds.", min_length=1
    )
    max_loops: int | None = Field(
        None, ge=1, le=1000, description="Taken at most so often in a run; bounds a loop."
    )

    @model_validator(mode="after")
    def _check_target(self) -> Self:
        if (self.to is None) == (self.otherwise is None):
            raise ValueError("a branch has either `to`, with or without `when`, or `else`")
        if self.otherwise and (self.when is not None or self.max_loops):
            raise ValueError("`else` is what happens otherwise: it takes no `when` or `max_loops`")
        return self

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(self.to or self.otherwise or ())


def _shorten_branches(branches: list[Branch]) -> Any:
    if len(branches) == 1 and branches[0].model_fields_set == {"to"}:
        return _shorten_names(branches[0].targets)
    return [
        {
            ("else" if key == "otherwise" else key): _shorten_names(value)
            for key, value in branch.model_dump(exclude_unset=True).items()
        }
        for branch in branches
    ]


def _shorten_names(value: Any) -> Any:
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


TARGETS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
BRANCH_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "when": {"type": ["string", "boolean"]},
        "to": TARGETS,
        "else": TARGETS,
        "max_loops": {"type": "integer", "minimum": 1},
    },
}
"""JSON Schema of `Branch` with its short forms, which pydantic cannot see behind the validators."""
Next = Annotated[
    list[Branch],
    BeforeValidator(_expand_branches),
    PlainSerializer(_shorten_branches),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [TARGETS, {"type": "array", "items": BRANCH_SCHEMA}]}),
]
"""An entry of `edges`: a name, a list of names that run in parallel, or a list of branches."""
