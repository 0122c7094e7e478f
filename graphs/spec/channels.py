"""The values of an agent's file: input fields, and the channels of its state.

Both have a short form, `question: string`, and a full one.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, ValidationInfo

from graphs.spec.base import SpecModel
from graphs.spec.channel_types import Reduce, Type, fits


def _expand_type(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


def _check_type(value: JsonValue, info: ValidationInfo) -> JsonValue:
    # `type` stands before `default` and `enum` in the models below, so it is validated already.
    kind = info.data.get("type", "any")
    if value is not None and not fits(kind, value):
        raise ValueError(f"{value!r} does not fit the type {kind}")
    return value


Default = Annotated[JsonValue, AfterValidator(_check_type)]
"""A value that fits the `type` beside it."""


class InputField(SpecModel):
    """One field of an agent's input. Without a default it is required."""

    type: Type = "any"
    description: str = ""
    default: Default = None
    enum: list[Default] | None = None

    @property
    def required(self) -> bool:
        # `default: null` makes a field optional too, so the value alone does not tell.
        return "default" not in self.model_fields_set


class Channel(SpecModel):
    """A value that nodes share. `keep` makes a thread remember it from run to run."""

    type: Type = "any"
    description: str = ""
    reduce: Reduce | None = Field(default=None, description="How several writes are combined.")
    default: Default = None
    keep: bool | None = None

    @property
    def reducer(self) -> Reduce:
        return self.reduce or ("messages" if self.type == "messages" else "last")

    @property
    def persistent(self) -> bool:
        """Whether the thread keeps the value from run to run: conversations do by themselves."""
        return self.keep if self.keep is not None else self.reducer == "messages"


AnyInputField = Annotated[
    InputField, BeforeValidator(_expand_type, json_schema_input_type=Type | InputField)
]
AnyChannel = Annotated[
    Channel, BeforeValidator(_expand_type, json_schema_input_type=Type | Channel)
]
