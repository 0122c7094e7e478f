"""What every node takes, whatever its type: conditions, saving, and policies for failures.

Owns the base class of all node types' specs. The fields of one type stand in its module in
`graphs.nodes`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from graphs.spec.base import ChannelName, Name, SpecModel
from graphs.spec.branches import Branch


class Retry(SpecModel):
    """Again after a failure that may pass: something unavailable, busy or too slow."""

    attempts: int = Field(3, ge=1, le=20, description="In all, the first included.")
    backoff_s: float = Field(0.5, ge=0, le=600, description="Before the second; then doubling.")


class Cache(SpecModel):
    """Keep a node's result for the same inputs."""

    ttl_s: float = Field(gt=0, description="How long.")


class OnError(SpecModel):
    """What a failed node amounts to. `codes` names the errors meant; without it, all."""

    names_within = frozenset(("default",))

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
    def _check_effect(self) -> Self:
        if self.then == "fail" and (self.default or self.goto):
            raise ValueError("`then: fail` leaves no place for `default` or `goto`")
        if self.message and self.then != "fail":
            raise ValueError("`message` belongs to `then: fail`")
        return self


def _expand(key: str, short: Any) -> BeforeValidator:
    """Read a bare value as `{key: value}`; `short` is its type, for the JSON schema."""
    return BeforeValidator(
        lambda value: value if isinstance(value, dict | SpecModel) else {key: value},
        json_schema_input_type=short,
    )


AnyRetry = Annotated[Retry, _expand("attempts", int | Retry)]
AnyCache = Annotated[Cache, _expand("ttl_s", float | Cache)]
AnyOnError = Annotated[OnError, _expand("then", Literal["fail", "continue"] | OnError)]

WRITTEN_LAST = (
    *("temperature", "top_p", "top_k", "max_tokens", "seed", "stop"),
    *("save", "retry", "timeout_s", "cache", "on_error"),
)


class NodeSpec(SpecModel):
    """What every node takes. A node type's spec is a subclass with a literal `type`."""

    names_within = frozenset(("save",))

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
    def _order_fields(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write fields as people do: first what a node does, then what follows."""
        fields: dict[str, Any] = serialize(self)
        last = {key: fields[key] for key in WRITTEN_LAST if key in fields}
        return {**{key: fields[key] for key in fields if key not in last}, **last}

    @property
    def follows_edges(self) -> bool:
        """Whether edges say what follows, and not the node itself."""
        return True

    def own_exits(self) -> list[Branch] | None:
        """Return the branches that the node itself declares."""
        return None

    def own_targets(self) -> list[str]:
        """Return the nodes of which it may name one when it has run."""
        return []
