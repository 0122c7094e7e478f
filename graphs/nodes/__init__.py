"""Every node type: one module each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Discriminator

from graphs.compile.node import NodeType
from graphs.nodes.agent import AGENT, AgentNodeSpec
from graphs.nodes.caption import CAPTION, CaptionSpec
from graphs.nodes.human import HUMAN, HumanSpec
from graphs.nodes.image import IMAGE, ImageSpec
from graphs.nodes.map import MAP, MapSpec
from graphs.nodes.retrieve import RETRIEVE, RetrieveSpec
from graphs.nodes.route import ROUTE_NODE, RouteSpec
from graphs.nodes.set import SET, SetSpec
from graphs.nodes.speech import SPEECH, SpeechSpec
from graphs.nodes.subgraph import SUBGRAPH, SubgraphSpec
from graphs.nodes.text import TEXT, TextSpec
from graphs.nodes.tool import TOOL, ToolSpec
from graphs.nodes.transcribe import TRANSCRIBE, TranscribeSpec

NODE_TYPES: Mapping[str, NodeType] = {
    "text": TEXT,
    "agent": AGENT,
    "caption": CAPTION,
    "image": IMAGE,
    "speech": SPEECH,
    "transcribe": TRANSCRIBE,
    "retrieve": RETRIEVE,
    "tool": TOOL,
    "route": ROUTE_NODE,
    "map": MAP,
    "subgraph": SUBGRAPH,
    "human": HUMAN,
    "set": SET,
}
Node = Annotated[
    TextSpec
    | AgentNodeSpec
    | CaptionSpec
    | ImageSpec
    | SpeechSpec
    | TranscribeSpec
    | RetrieveSpec
    | ToolSpec
    | RouteSpec
    | MapSpec
    | SubgraphSpec
    | HumanSpec
    | SetSpec,
    Discriminator("type"),
]
# A map's own nodes are of any type, itself included.
MapSpec.model_rebuild(_types_namespace={"Node": Node})
