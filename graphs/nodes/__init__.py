"""Every node type: one module each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Discriminator

from graphs.nodes.base import NodeType
from graphs.nodes.set import SET, SetSpec
from graphs.nodes.text import TEXT, TextSpec

NODE_TYPES: Mapping[str, NodeType] = {
    "set": SET,
    "text": TEXT,
}
Node = Annotated[SetSpec | TextSpec, Discriminator("type")]
