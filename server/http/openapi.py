"""Parts of the OpenAPI description that FastAPI cannot infer: bodies of several media types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel


def request_body(
    *,
    json: type[BaseModel],
    form: Mapping[str, Any] | None = None,
    text: Mapping[str, Any] | None = None,
    required: bool = False,
) -> dict[str, Any]:
    """Describe a body that a route reads itself, for its `openapi_extra`.

    The body is JSON that fits the model `json`, or a form of the schema `form`, or a text whose
    media types and descriptions are the items of `text`.
    """
    content: dict[str, Any] = {"application/json": {"schema": json.model_json_schema()}}
    if form is not None:
        content["multipart/form-data"] = {"schema": form}
    content |= text or {}
    body: dict[str, Any] = {"content": content}
    if required:
        body["required"] = True
    return {"requestBody": body}


def file_form(field: str, **others: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a form with one file in `field`, which is required, and other fields."""
    file = {"type": "string", "format": "binary"}
    return {"type": "object", "required": [field], "properties": {field: file, **others}}


def files_form(**others: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a form with one or more files in `files`, and other fields."""
    files = {"type": "array", "items": {"type": "string", "format": "binary"}}
    return {"type": "object", "required": ["files"], "properties": {"files": files, **others}}
