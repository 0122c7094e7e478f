"""A request that is refused, and short ways to write one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

NOWHERE = "7b0e6a5c-0000-4000-8000-000000000000"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=B"}


@dataclass(frozen=True)
class Case:
    """`{agent}`, `{index}`, `{document}`, `{thread}`, `{run}` in a path become those that exist."""

    name: str
    method: str
    path: str
    status: int
    code: str
    field: str
    request: Callable[[], dict[str, Any]] = dict


def body(name: str, path: str, json: Any, status: int, code: str, field: str) -> Case:
    return Case(name, "POST", path, status, code, field, lambda: {"json": json})


def raw(
    name: str,
    path: str,
    content: bytes,
    status: int,
    code: str,
    field: str,
    headers: dict[str, str] = JSON,
) -> Case:
    request = {"content": content, "headers": headers}
    return Case(name, "POST", path, status, code, field, lambda: request)


def chunked(
    name: str, path: str, headers: dict[str, str], start: bytes = b"", size: int = 2**21
) -> Case:
    """A body that is too large and does not say so beforehand."""

    async def chunks() -> AsyncIterator[bytes]:
        yield start
        for _ in range(size // 2**16):
            yield b"x" * 2**16

    def request() -> dict[str, Any]:
        return {"content": chunks(), "headers": headers}

    return Case(name, "POST", path, 413, "too_large", "body", request)


def upload(name: str, filename: str, data: bytes, code: str, field: str, type_: str = "") -> Case:
    files = {"files": (filename, data, type_) if type_ else (filename, data)}
    path = "/indexes/{index}/documents"
    return Case(name, "POST", path, 422, code, field, lambda: {"files": files})


def get(name: str, path: str, status: int, code: str, field: str, **headers: str) -> Case:
    return Case(name, "GET", path, status, code, field, lambda: {"headers": headers})


RUN = "/agents/{agent}/run"
INPUT = {"text": "hello"}
DOCUMENTS = "/indexes/{index}/documents"
SEARCH = "/indexes/{index}/search"
STATE = "/threads/{thread}/state"
