"""Every node type: one module each.

To add a node type, say `shout`:

1. Write `graphs/nodes/shout.py`: a spec, a build function, and a `NodeType` of both.
   `graphs.compile.node` says what these are; `set.py` is the smallest example, `caption.py` one
   that calls a tool, `text.py` one that asks a chat model.
2. Add one line to `NODE_TYPES` below: `"shout": SHOUT`. The key is the literal `type` of its spec.

Everything else follows from the map: validation, the JSON schema for editors, drawing, `retry`,
`timeout_s`, `cache`, `when`, `save` and `on_error`. `tests/test_docs.py` then asks for a section in
`docs/agents.md` that names its fields. A test of its own goes to `tests/graphs/nodes/`;
`tests.support.graph_runs.run_node` runs one node alone, also before it is in the map.

Work that takes long emits `progress`. Work whose single pieces must survive a crash puts each into
`graphs.compile.durable.durable_call` and sets `retries_itself`. A module beside the types serves
several of them: `tool_calls`, or a part of one: `model_tools`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, TypeAlias, Union

from pydantic import Discriminator

from graphs.compile.node import NodeType
from graphs.nodes.agent import AGENT
from graphs.nodes.caption import CAPTION
from graphs.nodes.condense import CONDENSE
from graphs.nodes.human import HUMAN
from graphs.nodes.image import IMAGE
from graphs.nodes.map import MAP, MapSpec
from graphs.nodes.retrieve import RETRIEVE
from graphs.nodes.route import ROUTE
from graphs.nodes.set import SET
from graphs.nodes.speech import SPEECH
from graphs.nodes.subgraph import SUBGRAPH
from graphs.nodes.text import TEXT
from graphs.nodes.tool import TOOL
from graphs.nodes.transcribe import TRANSCRIBE
from graphs.spec.node_spec import NodeSpec

NODE_TYPES: Mapping[str, NodeType] = {
    "text": TEXT,
    "agent": AGENT,
    "condense": CONDENSE,
    "caption": CAPTION,
    "image": IMAGE,
    "speech": SPEECH,
    "transcribe": TRANSCRIBE,
    "retrieve": RETRIEVE,
    "tool": TOOL,
    "route": ROUTE,
    "map": MAP,
    "subgraph": SUBGRAPH,
    "human": HUMAN,
    "set": SET,
}

if TYPE_CHECKING:
    AnyNode: TypeAlias = NodeSpec
else:
    AnyNode = Annotated[
        Union[tuple(kind.spec for kind in NODE_TYPES.values())],  # noqa: UP007
        Discriminator("type"),
    ]
"""A node's spec of any type. Pydantic sees the union, told apart by `type`; a type checker, which
cannot follow one that is made of a map, sees the base class."""

# The nodes within a `map` are of any type, `map` included: its spec can be completed only here.
MapSpec.model_rebuild(_types_namespace={"AnyNode": AnyNode})
