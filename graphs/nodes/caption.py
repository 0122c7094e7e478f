"""`caption`: say what is in a picture, or answer a question about it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from graphs.compile.node import NodeType
from graphs.nodes.tool_calls import build_tool_node
from graphs.spec.channel_types import Type
from graphs.spec.node_spec import NodeSpec

PARTS: dict[str, Type] = {"text": "string", "model": "string"}


class CaptionSpec(NodeSpec):
    """Looks at pictures. `save: channel` saves what it says."""

    type: Literal["caption"]
    image: str | list[JsonValue] = Field(description="A picture, or a list of them.")
    prompt: str | None = Field(None, description="What is asked; without it, a description.")
    max_tokens: int | str | None = None
    model: str | None = Field(None, description="A role or a model's name; default `vision`.")


CAPTION = NodeType(
    CaptionSpec, build_tool_node("caption"), PARTS, "text", model_task="caption", tool="caption"
)
