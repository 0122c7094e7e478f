"""Hostile requests, drawn from what the service says of itself: each operation, each kind."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.hostile.values import (
    CODINGS,
    CONTENT_TYPES,
    FIELD_VALUES,
    FORMS,
    HEADERS,
    JSON_VALUES,
    METHODS,
    NOWHERE,
    PATH_PARTS,
    QUERIES,
)

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class HostileRequest:
    """One request as it goes out; its target is not encoded again."""

    kind: str
    method: str
    target: str
    headers: Mapping[str, str | bytes] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Operation:
    """A method of a path, and the properties of its body."""

    method: str
    path: str
    fields: Mapping[str, Any]
    takes_body: bool


def list_operations(api: Mapping[str, Any]) -> list[Operation]:
    """List the operations of an OpenAPI description."""
    return [
        Operation(method.upper(), path, _fields(operation, api), "requestBody" in operation)
        for path, operations in sorted(api["paths"].items())
        for method, operation in operations.items()
    ]


def hostile_requests(
    api: Mapping[str, Any], existing: Mapping[str, str], *, count: int, seed: int = 1
) -> Iterator[HostileRequest]:
    """Yield so many requests: in turn of each kind, for the operations in turn.

    `existing` are values of path parameters that lead to something; deletions never get them.
    """
    drawn = random.Random(seed)
    operations = list_operations(api)
    drawn.shuffle(operations)
    makers = (_path, _query, _json, _field, _content_type, _form, _coding, _header, _method)
    for number in range(count):
        operation = operations[number % len(operations)]
        make = makers[(number + number // len(operations)) % len(makers)]
        yield make(operation, _Draw(drawn, existing))


@dataclass(frozen=True)
class _Draw:
    random: random.Random
    existing: Mapping[str, str]

    def fill(self, operation: Operation) -> str:
        """Fill a path with what exists, or with what is nowhere."""
        names = {} if operation.method == "DELETE" else self.existing
        return re.sub(
            r"\{(\w+)\}", lambda match: _value(match[1], operation, names), operation.path
        )


def _value(name: str, operation: Operation, existing: Mapping[str, str]) -> str:
    kind = operation.path.split("/")[1]
    return existing.get(f"{kind}.{name}", existing.get(name, NOWHERE))


def _path(operation: Operation, draw: _Draw) -> HostileRequest:
    target = re.sub(r"\{\w+\}", lambda _: draw.random.choice(PATH_PARTS), operation.path)
    if target == operation.path:
        target = f"{target}{draw.random.choice(('/', '//', '/..', '%00', '/x' * 2000, ';a=b'))}"
    return _request("path", operation, target)


def _query(operation: Operation, draw: _Draw) -> HostileRequest:
    return _request("query", operation, f"{draw.fill(operation)}?{draw.random.choice(QUERIES)}")


def _json(operation: Operation, draw: _Draw) -> HostileRequest:
    body = draw.random.choice(JSON_VALUES)
    return HostileRequest("JSON", operation.method, draw.fill(operation), JSON, body)


def _field(operation: Operation, draw: _Draw) -> HostileRequest:
    sent = {
        name: draw.random.choice(FIELD_VALUES)
        for name in operation.fields
        if draw.random.random() < 0.5
    } or {"unknown": draw.random.choice(FIELD_VALUES)}
    body = json.dumps(sent).encode()
    return HostileRequest("field", operation.method, draw.fill(operation), JSON, body)


def _content_type(operation: Operation, draw: _Draw) -> HostileRequest:
    kind = draw.random.choice(CONTENT_TYPES)
    body = draw.random.choice((b"{}", b"text", b"a=b&c", b"%"))
    headers = {"Content-Type": kind} if kind else {}
    return HostileRequest("content type", operation.method, draw.fill(operation), headers, body)


def _form(operation: Operation, draw: _Draw) -> HostileRequest:
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    body = draw.random.choice(FORMS)
    return HostileRequest("form", operation.method, draw.fill(operation), headers, body)


def _coding(operation: Operation, draw: _Draw) -> HostileRequest:
    coding, body = draw.random.choice(CODINGS)
    headers = {**JSON, "Content-Encoding": coding}
    return HostileRequest("coding", operation.method, draw.fill(operation), headers, body)


def _header(operation: Operation, draw: _Draw) -> HostileRequest:
    name, value = draw.random.choice(HEADERS)
    return _request("header", operation, draw.fill(operation), **{name: value})


def _method(operation: Operation, draw: _Draw) -> HostileRequest:
    method = draw.random.choice(METHODS)
    names = Operation(method, operation.path, {}, False)
    return HostileRequest("method", method, draw.fill(names))


def _request(
    kind: str, operation: Operation, target: str, **headers: str | bytes
) -> HostileRequest:
    body = b"{}" if operation.takes_body else b""
    sent = {**(JSON if body else {}), **headers}
    return HostileRequest(kind, operation.method, target, sent, body)


def _fields(operation: Mapping[str, Any], api: Mapping[str, Any]) -> Mapping[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    for option in (schema, *schema.get("anyOf", ())):
        if reference := option.get("$ref"):
            schema = api["components"]["schemas"][reference.rpartition("/")[2]]
    fields: Mapping[str, Any] = schema.get("properties", {})
    return fields
