"""`speech`: read a text aloud."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from graphs.compile.node import CompiledNode, CompileScope, NodeType
from graphs.nodes.tool_calls import build_tool_node
from graphs.spec.channel_types import Type
from graphs.spec.node_spec import NodeSpec

PARTS: dict[str, Type] = {
    "artifact": "object",
    "seconds": "number",
    "sentences": "list",
    "chapters": "list",
    "model": "string",
}


class SpeechSpec(NodeSpec):
    """Speaks. `save: channel` saves the sound as an artifact."""

    type: Literal["speech"]
    text: str | None = Field(None, description="What is said.")
    chapters: str | list[JsonValue] | None = Field(
        None, description="Instead of `text`: objects of `title`, which is not said, and `text`."
    )
    title: str | None = Field(None, description="Written into the file.")
    voice: str | None = Field(None, description="One of the model's voices.")
    language: str | None = Field(None, description="As in en, de, pt-BR.")
    speed: float | str | None = None
    reference: str | None = Field(None, description="A recording of the voice to imitate.")
    format: str | None = Field(None, description="mp3 (default), wav, flac, ogg or opus.")
    model: str | None = Field(None, description="A role or a model's name; default `voice`.")


def build(spec: SpeechSpec, scope: CompileScope) -> CompiledNode:
    if (spec.text is None) == (spec.chapters is None):
        scope.problem("text", "give `text`, or `chapters`.")
    return build_tool_node("speech")(spec, scope)


SPEECH = NodeType(SpeechSpec, build, PARTS, "artifact", model_task="speech", tool="speech")
