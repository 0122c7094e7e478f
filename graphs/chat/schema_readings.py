"""What a value is meant to be that a model wrote for a schema, and whether it is the schema itself.

Pure. Small models wrap the answer in names of their own, write "5" for a number, repeat the schema,
or copy words of it into the answer. Whether a value fits is checked elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graphs.chat.schema_skeleton import follow
from tools.model_arguments import TYPES, WORDS, WRAPPERS, read_arguments, types_of

ANSWER_WRAPPERS = (*WRAPPERS, "answer", "data", "json", "output", "response", "result", "value")
"""What models put around an answer."""
MAX_WRAPPERS = 3
"""Of one answer, one in the other."""
SCHEMA_WORDS = WORDS | {"$defs", "$id", "definitions"}


def list_readings(value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what a value may be meant to be, the likeliest first.

    Only an object with named properties can be meant otherwise than it stands.
    """
    inner = _unwrap(value, schema)
    yield inner
    properties = _properties(schema)
    if properties and isinstance(inner, Mapping):
        read, dropped, _ = read_arguments(inner, {"properties": properties})
        if read != inner and all(inner.get(name) is None for name in dropped):
            yield read


def repeats_schema(value: Any, schema: Mapping[str, Any]) -> bool:
    """Tell whether a value is the schema, or has parts of it in the place of its own."""
    if not isinstance(value, Mapping) or not value:
        return False
    properties = _properties(schema)
    if value == schema or any(_repeats(value, name, part) for name, part in properties.items()):
        return True
    if properties.keys().isdisjoint(value):
        takes_any = not properties and _takes_objects(schema)
        is_typed = value.get("type") in TYPES or isinstance(value.get("properties"), Mapping)
        return is_typed and not takes_any and value.keys() <= SCHEMA_WORDS
    # One text may be the name of a type by chance.
    read, dropped, _ = read_arguments(value, {"properties": properties})
    return not read and len(dropped) > 1 and any(value[name] is not None for name in dropped)


def _repeats(value: Mapping[str, Any], name: str, part: Any) -> bool:
    """Tell whether a property's value is its own schema, or another where no object may stand."""
    item = value.get(name)
    if not isinstance(item, Mapping) or not item:
        return False
    is_typed = isinstance(item.get("type"), str) and item["type"] in TYPES
    return item == part or (is_typed and not _takes_objects(part))


def _takes_objects(schema: Any) -> bool:
    types = types_of(schema) if isinstance(schema, Mapping) else set()
    return not types or "object" in types


def _unwrap(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return the object with properties of the schema that is within a value, else the value."""
    properties = _properties(schema).keys()
    inner = value
    for _ in range(MAX_WRAPPERS if properties else 0):
        if isinstance(inner, list) and len(inner) == 1 and "array" not in types_of(schema):
            inner = inner[0]
        if not isinstance(inner, Mapping):
            break
        if not properties.isdisjoint(inner):
            return inner
        parts = [inner.get(name) for name in (ANSWER_WRAPPERS if len(inner) > 1 else inner)]
        inner = next((each for each in parts if isinstance(each, Mapping | list)), None)
    return value


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return follow(schema, schema).get("properties") or {}
