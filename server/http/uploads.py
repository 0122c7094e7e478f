"""Files that callers bring: stored as artifacts, and named so in an agent's input.

Invariant: neither the state nor the log of a run holds a file's bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Self

from fastapi import Request
from pydantic import ConfigDict, Field, model_validator
from starlette.datastructures import FormData, UploadFile

from config.errors import Invalid, nearest
from graphs.spec.channel_types import FILES
from server.http.access import Caller
from server.http.bodies import StrictBody, parse_json_object
from server.services import Services
from tools.artifact_record import MEDIA_TYPE
from tools.media import kind_of
from tools.media_deps import describe_artifact
from tools.references import ReferencedFile, parse_reference

MAX_FILES = 100
UNKNOWN_TYPE = "application/octet-stream"


class FileBody(StrictBody):
    """A file to keep: a data URL that holds it, or an address to fetch it from."""

    model_config = ConfigDict(
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
        """The data URL or the address, whichever was sent."""
        return self.url or self.data or ""


class UploadedFile(NamedTuple):
    """A file of a form, and the field that it came in."""

    field: str
    file: UploadFile


class FileForm(NamedTuple):
    """A form that holds at least one file."""

    form: FormData
    files: Sequence[UploadedFile]


@asynccontextmanager
async def read_file_form(request: Request) -> AsyncIterator[FileForm]:
    """Read the form of a request, and close its files on exit. Raises `Invalid` without a file."""
    form = await request.form(max_files=MAX_FILES)
    try:
        files = [
            UploadedFile(name, each)
            for name, each in form.multi_items()
            if isinstance(each, UploadFile)
        ]
        if not files:
            raise Invalid("The form holds no file.", details={"field": "files"})
        yield FileForm(form, files)
    finally:
        await form.close()


async def store_upload(file: UploadFile, services: Services, caller: Caller) -> dict[str, Any]:
    """Store an uploaded file as an artifact and describe it."""
    content = ReferencedFile(await file.read(), file.content_type or "")
    return await _store(content, file.filename or "", "upload", services, caller)


async def store_referenced(
    source: Any, field: str, services: Services, caller: Caller, name: str | None = None
) -> dict[str, Any]:
    """Store what a data URL or an address holds as an artifact and describe it.

    Raises as `ReferenceReader.read` does.
    """
    content = await services.media_tools.files.read(source, field=field, tenant=caller.tenant)
    url = source if parse_reference(source, field).kind == "url" else ""
    called = name or url.rsplit("/", 1)[-1]
    return await _store(content, called, url or "upload", services, caller)


async def _store(
    file: ReferencedFile, name: str, source: str, services: Services, caller: Caller
) -> dict[str, Any]:
    media_type = kind_of(file.data) or file.media_type.lower()
    stored = await services.artifacts.put(
        file.data,
        media_type=media_type if MEDIA_TYPE.fullmatch(media_type) else UNKNOWN_TYPE,
        provenance={"name": name.rsplit(".", 1)[0], "tool": "upload", "source": source[:1000]},
        tenant=caller.tenant,
    )
    return describe_artifact(stored)


async def store_data_urls(
    values: Mapping[str, Any], schema: Mapping[str, Any], services: Services, caller: Caller
) -> dict[str, Any]:
    """Replace the data URLs in an agent's input by artifacts, in the fields that take files."""
    stored = dict(values)
    for name in file_fields(schema):
        if _is_data_url(stored.get(name)):
            stored[name] = await store_referenced(stored[name], f"input.{name}", services, caller)
    return stored


def has_data_urls(values: Any) -> bool:
    """Tell whether a data URL stands in an input."""
    return isinstance(values, Mapping) and any(_is_data_url(value) for value in values.values())


def _is_data_url(value: Any) -> bool:
    return isinstance(value, str) and value[:5].lower() == "data:"


async def read_form_input(
    uploaded: FileForm, schema: Mapping[str, Any], services: Services, caller: Caller
) -> dict[str, Any]:
    """Read an agent's input from a form: its JSON `input`, and files in the fields named so.

    No file is stored where one is in a field that takes none: Raises `Invalid` (`invalid_input`).
    """
    values = parse_json_object(uploaded.form.get("input"), "input")
    fields = file_fields(schema)
    for name, _ in uploaded.files:
        if name not in fields:
            raise Invalid(
                f"The agent takes no file as '{name}'. {nearest(name, fields)}",
                code="invalid_input",
                details={"field": f"input.{name}"},
            )
    for name, file in uploaded.files:
        values[name] = await store_upload(file, services, caller)
    return values


def file_fields(schema: Mapping[str, Any]) -> list[str]:
    """List the fields of an input schema that take files."""
    fields = schema.get("properties", {})
    return [name for name, field in fields.items() if field.get("format") in FILES]
