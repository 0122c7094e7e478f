"""What every part of an agent's file is made of: the strict model, and the rules of names.

Owns the patterns and limits of names. Invariant: an unknown key is refused everywhere, because a
misspelt key that is ignored changes what an agent does without a word.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from config.validation_words import refuse_bool_as_number
from config.yaml_reader import EXTENSION, drop_extensions

START = "start"
"""In `edges`, what stands before the first node."""
END = "end"
"""In `edges`, the target that ends a branch."""
MAX_NODES = 500
"""Nodes of one graph; the nodes within a `map` count apart."""
AGENT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""Names of agents are file names and parts of URLs, so they have no capitals."""
RESERVED = frozenset(
    (
        *("and", "or", "not", "in", "is", "if", "else", "elif", "for", "set"),
        *("loop", "range", "self"),
        *("true", "false", "none", "True", "False", "None"),
        *(START, END),
    )
)
"""No channel or node has one of these names: templates or edges would read it as something else."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
"""The name of a node."""
ChannelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
"""The name of a channel. Templates read it as an identifier, so it has no hyphen."""

NUMBERS = (
    *("timeout_s", "retry", "attempts", "backoff_s", "cache", "ttl_s"),
    *("max_steps", "max_loops", "concurrency"),
    *("temperature", "top_p", "top_k", "max_tokens", "seed"),
)
"""Fields of any part of a spec that hold numbers; a wildcard would take in discriminators."""


class SpecModel(BaseModel):
    """Base of all parts of a spec: frozen, and refuses unknown keys but those with `x-`."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
        json_schema_extra={"patternProperties": {f"^{EXTENSION}": {}}},
    )

    _check_numbers = field_validator(*NUMBERS, mode="wrap", check_fields=False)(
        refuse_bool_as_number
    )

    names_within: ClassVar[frozenset[str]] = frozenset()
    """Fields that hold things by name, where `x-` keys are passed over too."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        for name in cls.names_within:
            _admit_extensions(schema["properties"][name])
        return schema

    @model_validator(mode="before")
    @classmethod
    def _drop_extensions(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        # What is data, such as a default or a tool's arguments, keeps all of its keys.
        return {
            key: drop_extensions(item)
            if key in cls.names_within and isinstance(item, dict)
            else item
            for key, item in drop_extensions(value).items()
        }


def _admit_extensions(schema: dict[str, Any]) -> None:
    """Let `x-` keys hold anything in the JSON schema of things by name."""
    for option in schema.get("anyOf", []):
        _admit_extensions(option)
    if named := schema.get("patternProperties"):
        # The pattern of a name fits these keys too.
        others = {f"^(?!{EXTENSION}){key.removeprefix('^')}": each for key, each in named.items()}
        schema["patternProperties"] = {**others, f"^{EXTENSION}": {}}
    elif "additionalProperties" in schema:
        schema["patternProperties"] = {f"^{EXTENSION}": {}}
