"""The types of channels and fields: what each accepts, and how JSON Schema writes it.

Owns the literal lists of types and reducers. How LangGraph combines writes is
`graphs.compile.state`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from langchain_core.messages import BaseMessage

Type = Literal[
    "string",
    "integer",
    "number",
    "boolean",
    "list",
    "object",
    "messages",
    "any",
    "image",
    "audio",
    "file",
]
Reduce = Literal["last", "append", "add", "merge", "messages"]

FILES: tuple[Type, ...] = ("image", "audio", "file")
"""Types whose values name a file: an artifact or a URL, never its bytes."""
ACCEPTED: Mapping[Type, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list, tuple),
    "object": (dict,),
    "messages": (list, tuple, str, dict, BaseMessage),
    "any": (object,),
    "image": (str, dict),
    "audio": (str, dict),
    "file": (str, dict),
}
"""The Python types whose values a channel of each type takes."""
JSON_TYPES: Mapping[Type, dict[str, Any]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "list": {"type": "array"},
    "object": {"type": "object"},
    "messages": {"type": "array", "items": {"type": "object"}, "description": "Chat messages."},
    "any": {},
    "image": {"type": ["string", "object"], "format": "image"},
    "audio": {"type": ["string", "object"], "format": "audio"},
    "file": {"type": ["string", "object"], "format": "file"},
}


def fits(type_: Type, value: Any) -> bool:
    """Tell whether a value may be written to a channel of this type. Null always may."""
    if value is None:
        return True
    # A bool is an int to Python, but `true` is no number in an agent's file.
    if isinstance(value, bool) and type_ in ("integer", "number"):
        return False
    return isinstance(value, ACCEPTED[type_])
