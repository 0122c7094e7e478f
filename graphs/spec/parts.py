"""The parts of a spec that all nodes share: fields, channels, edges and policies."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from graphs.compile.state import Reduce, Type, fits

END = "end"
START = "start"
MAX_NODES = 500
AGENT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
RESERVED = frozenset(
    (
        *(
            "and",
            "or",
            "not",
            "in",
            "is",
            "if",
            "else",
            "elif",
            "for",
            "set",
            "loop",
            "range",
            "self",
        ),
        *("true", "false", "none", "True", "False", "None", "start", "end"),
    )
)

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
ChannelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]


class Strict(BaseModel):
    """Unknown keys are refused: a misspelt key must never be ignored."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, hide_input_in_errors=True
    )


def _typed(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


def _fitting(value: JsonValue, info: ValidationInfo) -> JsonValue:
    kind = info.data.get("type", "any")
    if value is not None and not fits(kind, value):
        raise ValueError(f"{value!r} does not fit the type {kind}")
    return value


Default = Annotated[JsonValue, AfterValidator(_fitting)]


class InputField(Strict):
    """One field of an agent's input. Without a default it is required."""

    type: Type = "any"
    description: str = ""
    default: Default = None
    enum: list[Default] | None = None

    @property
    def required(self) -> bool:
        return "default" not in self.model_fields_set


class Channel(Strict):
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
    def kept(self) -> bool:
        return self.keep if self.keep is not None else self.reducer == "messages"


def _branches(value: Any) -> Any:
    if isinstance(value, str):
        return [{"to": value}]
    if not isinstance(value, list):
        return [value]
    if value and all(isinstance(item, str) for item in value):
        return [{"to": value}]
    return value


def _names(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Branch(Strict):
    """One way to go on. Of several, the first whose condition holds is taken."""

    when: str | bool | None = Field(None, description="An expression over the channels.")
    to: Annotated[list[Name], BeforeValidator(_names)] | None = Field(
        None, description="The next node, several in parallel, or `end`.", min_length=1
    )
    otherwise: Annotated[list[Name], BeforeValidator(_names)] | None = Field(
        None, alias="else", description="The next node where no condition holds.", min_length=1
    )
    max_loops: int | None = Field(
        None, ge=1, le=1000, description="Taken at most so often in a run; bounds a loop."
    )

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.to is None) == (self.otherwise is None):
            raise ValueError("a branch has either `to`, with or without `when`, or `else`")
        if self.otherwise and (self.when is not None or self.max_loops):
            raise ValueError("`else` is what happens otherwise: it takes no `when` or `max_loops`")
        return self

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(self.to or self.otherwise or ())


def _short(branches: list[Branch]) -> Any:
    if len(branches) == 1 and branches[0].model_fields_set == {"to"}:
        return _one_or_all(branches[0].targets)
    return [
        {
            ("else" if key == "otherwise" else key): _one_or_all(value)
            for key, value in branch.model_dump(exclude_unset=True).items()
        }
        for branch in branches
    ]


def _one_or_all(value: Any) -> Any:
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
Next = Annotated[
    list[Branch],
    BeforeValidator(_branches),
    PlainSerializer(_short),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [TARGETS, {"type": "array", "items": BRANCH_SCHEMA}]}),
]


class Retry(Strict):
    """Again after a failure that may pass: something unavailable, busy or too slow."""

    attempts: int = Field(3, ge=1, le=20, description="In all, the first included.")
    backoff_s: float = Field(0.5, ge=0, le=600, description="Before the second; then doubling.")


class Cache(Strict):
    """Keep a node's result for the same inputs."""

    ttl_s: float = Field(gt=0, description="How long.")


class OnError(Strict):
    """What a failed node amounts to. `codes` names the errors meant; without it, all."""

    then: Literal["fail", "continue"] | None = None
    default: dict[ChannelName, JsonValue] | None = Field(
        None, description="Values for channels; templates may use `error`."
    )
    goto: Name | None = Field(None, description="The node to go on with.")
    message: str | None = Field(
        None, description="With `then: fail`: what the failure says; may use `error`."
    )
    codes: list[str] | None = None

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.then == "fail" and (self.default or self.goto):
            raise ValueError("`then: fail` leaves no place for `default` or `goto`")
        if self.message and self.then != "fail":
            raise ValueError("`message` belongs to `then: fail`")
        return self


def _shorthand(key: str, short: Any) -> BeforeValidator:
    """`short`: the type of a value that stands for `{key: value}`; the JSON schema has both."""
    return BeforeValidator(
        lambda value: value if isinstance(value, dict | Strict) else {key: value},
        json_schema_input_type=short,
    )


AnyInputField = Annotated[
    InputField, BeforeValidator(_typed, json_schema_input_type=Type | InputField)
]
AnyChannel = Annotated[Channel, BeforeValidator(_typed, json_schema_input_type=Type | Channel)]
AnyRetry = Annotated[Retry, _shorthand("attempts", int | Retry)]
AnyCache = Annotated[Cache, _shorthand("ttl_s", float | Cache)]
AnyOnError = Annotated[OnError, _shorthand("then", Literal["fail", "continue"] | OnError)]


LAST = ("save", "retry", "timeout_s", "cache", "on_error")


class NodeSpec(Strict):
    """What every node takes."""

    type: str
    description: str = ""
    when: str | bool | None = Field(None, description="The node is passed over unless this holds.")
    save: str | dict[ChannelName, str] | None = Field(
        None, description="The channel for the result, or channel: part for several."
    )
    retry: AnyRetry | None = None
    timeout_s: float | None = Field(None, gt=0, le=24 * 3600)
    cache: AnyCache | None = None
    on_error: AnyOnError | None = None

    @model_serializer(mode="wrap")
    def _own_first(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """In the order in which people write them: first what a node does, then what follows."""
        fields: dict[str, Any] = serialize(self)
        return {**{key: fields[key] for key in fields if key not in LAST}, **fields}

    @property
    def goes_on(self) -> bool:
        """Whether edges say what follows, and not the node itself."""
        return True

    def branches(self) -> list[Branch] | None:
        """The ways out that the node itself declares."""
        return None

    def choices_to(self) -> list[str]:
        """The nodes that the node itself may name when it has run."""
        return []
