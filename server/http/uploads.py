"""Files that callers bring: kept as artifacts, and named so in an agent's input."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import orjson
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.datastructures import FormData, UploadFile

from config.errors import Invalid, nearest
from graphs.compile.state import FILES
from server.http.access import Caller
from server.services import Services
from tools.artifacts import MEDIA_TYPE
from tools.media import kind_of
from tools.media_deps import describe_artifact
from tools.references import ReferencedFile, parse_reference

MAX_FILES = 100
UNKNOWN = "application/octet-stream"


class FileBody(BaseModel):
    """A file to keep: a data URL that holds it, or an address to fetch it from."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"url": "https://example.org/photo.jpg"},
                {"data": "data:image/png;base64,iVBORw0KGgo=", "name": "photo.png"},
            ]
        },
    )

    url: str | None = Field(None, description="Only public addresses are fetched.")
    data: str | None = Field(None, description="A data URL.")
    name: str | None = Field(None, max_length=200, description="What the file is called.")

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.url is None) == (self.data is None):
            raise ValueError("give one of url, data")
        return self

    @property
    def source(self) -> str:
        return self.url or self.data or ""


@asynccontextmanager
async def form_files(
    request: Request,
) -> AsyncIterator[tuple[FormData, Sequence[tuple[str, UploadFile]]]]:
    """The form of a request, and its files by field. Raises `Invalid` without any file."""
    form = await request.form(max_files=MAX_FILES)
    try:
        files = [(name, each) for name, each in form.multi_items() if isinstance(each, UploadFile)]
        if not files:
            raise Invalid("The form holds no file.", details={"field": "files"})
        yield form, files
    finally:
        await form.close()


async def kept(file: UploadFile, services: Services, caller: Caller) -> dict[str, Any]:
    """An uploaded file as an artifact."""
    found = ReferencedFile(await file.read(), file.content_type or "")
    return await _stored(found, file.filename or "", "upload", services, caller)


async def kept_file(
    source: Any, field: str, services: Services, caller: Caller, name: str | None = None
) -> dict[str, Any]:
    """What a data URL or an address holds as an artifact. Raises as `ReferenceReader.read` does."""
    found = await services.making.files.read(source, field=field, tenant=caller.tenant)
    at = source if parse_reference(source, field).kind == "url" else ""
    return await _stored(found, name or at.rsplit("/", 1)[-1], at or "upload", services, caller)


async def _stored(
    file: ReferencedFile, name: str, source: str, services: Services, caller: Caller
) -> dict[str, Any]:
    media_type = kind_of(file.data) or file.media_type.lower()
    stored = await services.artifacts.put(
        file.data,
        media_type=media_type if MEDIA_TYPE.fullmatch(media_type) else UNKNOWN,
        provenance={"name": name.rsplit(".", 1)[0], "tool": "upload", "source": source[:1000]},
        tenant=caller.tenant,
    )
    return describe_artifact(stored)


async def input_without_bytes(
    given: Mapping[str, Any], schema: Mapping[str, Any], services: Services, caller: Caller
) -> dict[str, Any]:
    """An agent's input; files that stand in it as data URLs become artifacts.

    So a run's state and log hold no bytes.
    """
    found = dict(given)
    for name in file_fields(schema):
        if _is_data(found.get(name)):
            found[name] = await kept_file(found[name], f"input.{name}", services, caller)
    return found


def holds_bytes(given: Any) -> bool:
    """Whether a data URL stands in an input."""
    return isinstance(given, Mapping) and any(_is_data(value) for value in given.values())


def _is_data(value: Any) -> bool:
    return isinstance(value, str) and value[:5].lower() == "data:"


async def form_input(
    form: FormData,
    files: Sequence[tuple[str, UploadFile]],
    schema: Mapping[str, Any],
    services: Services,
    caller: Caller,
) -> dict[str, Any]:
    """The input of a form: its JSON `input`, and files in the fields that they are named after."""
    found = _object(form.get("input"))
    fields = file_fields(schema)
    for name, _ in files:
        if name not in fields:
            raise Invalid(
                f"The agent takes no file as '{name}'. {nearest(name, fields)}",
                code="invalid_input",
                details={"field": f"input.{name}"},
            )
    for name, file in files:
        found[name] = await kept(file, services, caller)
    return found


def file_fields(schema: Mapping[str, Any]) -> list[str]:
    """The fields of an input schema that take files."""
    fields = schema.get("properties", {})
    return [name for name, field in fields.items() if field.get("format") in FILES]


def _object(text: Any) -> dict[str, Any]:
    try:
        found = orjson.loads(text) if isinstance(text, str) and text else {}
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Invalid("input is no JSON object.", details={"field": "input"})
    return found
