"""The page that describes the API, made of its OpenAPI description: text and style, no scripts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from starlette.responses import HTMLResponse

from server.http.security_headers import NOTHING

METHODS = ("get", "post", "put", "patch", "delete")
TEMPLATE = "api_page.html.j2"
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
summary { cursor: pointer; padding: .2rem 0 }
summary b { display: inline-block; min-width: 4.5rem }
pre { overflow: auto; padding: .5rem; border: 1px solid #8888 }
table { border-collapse: collapse }
td, th { border: 1px solid #8888; padding: .2rem .5rem; text-align: left; vertical-align: top }
:root { color-scheme: light dark }
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"{NOTHING}; style-src 'sha256-{STYLE_HASH}'"


def api_page(api: Mapping[str, Any]) -> HTMLResponse:
    """Answer with the page of an OpenAPI description."""
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    environment.filters["json"] = json.dumps
    page = environment.get_template(TEMPLATE).render(api=api, groups=_group(api), style=STYLE)
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})


def _group(api: Mapping[str, Any]) -> list[dict[str, Any]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, operations in api["paths"].items():
        for method in METHODS:
            if operation := operations.get(method):
                described = _describe(method, path, operation, api)
                groups.setdefault(operation.get("tags", ["other"])[0], []).append(described)
    return [{"name": name, "operations": each} for name, each in groups.items()]


def _describe(
    method: str, path: str, operation: Mapping[str, Any], api: Mapping[str, Any]
) -> dict[str, Any]:
    bodies = list(_contents("body", operation.get("requestBody", {}), api))
    for status, response in operation.get("responses", {}).items():
        bodies += _contents(f"{status} {response.get('description', '')}", response, api)
    return {
        "method": method.upper(),
        "path": path,
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "parameters": operation.get("parameters", []),
        "bodies": bodies,
    }


def _contents(
    kind: str, described: Mapping[str, Any], api: Mapping[str, Any]
) -> Iterator[dict[str, str]]:
    """Yield each media type of a body with an example, or its schema where it has none."""
    for media_type, content in described.get("content", {}).items():
        schema = _resolve(content.get("schema", {}), api)
        examples = [content["example"]] if "example" in content else schema.get("examples", [])
        shown = examples or ([schema] if schema else [])
        text = "\n\n".join(
            each if isinstance(each, str) else json.dumps(each, indent=2, ensure_ascii=False)
            for each in shown
        )
        if text:
            yield {"kind": kind, "media_type": media_type, "text": text}


def _resolve(schema: Mapping[str, Any], api: Mapping[str, Any]) -> Mapping[str, Any]:
    """Look up the schema that a reference names; optional bodies are one of it and null."""
    for option in (schema, *schema.get("anyOf", ())):
        if reference := option.get("$ref"):
            component: Mapping[str, Any] = api["components"]["schemas"][
                reference.rpartition("/")[2]
            ]
            return component
    return schema
