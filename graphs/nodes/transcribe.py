"""`transcribe`: write down what is said in a recording."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from graphs.compile.node import NodeType
from graphs.nodes.tool_calls import build_tool_node
from graphs.spec.channel_types import Type
from graphs.spec.node_spec import NodeSpec

PARTS: dict[str, Type] = {
    "text": "string",
    "segments": "list",
    "language": "string",
    "seconds": "number",
    "model": "string",
}


class TranscribeSpec(NodeSpec):
    """Listens. `save: channel` saves the text."""

    type: Literal["transcribe"]
    audio: str = Field(description="The recording.")
    language: str | None = Field(None, description="As in en, de; by itself it is found out.")
    translate: bool | str | None = Field(None, description="Into English.")
    model: str | None = Field(None, description="A role or a model's name; default `transcribe`.")


TRANSCRIBE = NodeType(
    TranscribeSpec,
    build_tool_node("transcribe"),
    PARTS,
    "text",
    model_task="transcribe",
    tool="transcribe",
)
