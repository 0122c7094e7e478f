"""`image`: draw a picture, edit one, or draw within a mask."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from graphs.compile.node import NodeType
from graphs.nodes.tool_calls import build_tool_node
from graphs.spec.channel_types import Type
from graphs.spec.node_spec import NodeSpec

PARTS: dict[str, Type] = {
    "artifact": "object",
    "artifacts": "list",
    "model": "string",
    "seed": "integer",
    "settings": "object",
}


class ImageSpec(NodeSpec):
    """Draws. `save: channel` saves the picture as an artifact."""

    type: Literal["image"]
    prompt: str = Field(description="What the picture shows.")
    negative_prompt: str | None = Field(None, description="What it must not show.")
    image: str | None = Field(None, description="A picture to edit instead.")
    mask: str | None = Field(None, description="Where it is white, the image is drawn anew.")
    strength: float | str | None = Field(None, description="0 keeps the image, 1 forgets it.")
    width: int | str | None = None
    height: int | str | None = None
    seed: int | str | None = Field(None, description="The same seed gives the same picture.")
    count: int | str | None = Field(None, description="So many pictures, default 1.")
    steps: int | str | None = None
    guidance: float | str | None = None
    scheduler: str | None = None
    loras: list[JsonValue] | None = Field(None, description="Objects of `source` and `weight`.")
    preview_every: int | str | None = Field(None, description="A preview with each n-th step.")
    model: str | None = Field(None, description="A role or a model's name; default `image`.")


IMAGE = NodeType(
    ImageSpec, build_tool_node("image"), PARTS, "artifact", model_task="image", tool="image"
)
