"""Files that a caller names: artifacts, data URLs, public URLs.

Owns the forms in which a file may be named, and reads them. What the bytes are is the media
workers' matter; a file's own media type is not trusted there.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from config.errors import Invalid
from tools.artifact_record import CONTENT_HASH
from tools.artifacts import Artifacts
from tools.safe_fetch import CheckAddress, FetchLimits, Resolve, allow_address, fetch

Kind = Literal["artifact", "data", "url"]

ARTIFACT_ADDRESS = re.compile(r"(?:artifact:|(?:https?://[^/?#]+)?/artifacts/)([0-9a-f]{64})/?")
"""`artifact:<id>`, or the path or URL under which a service shows an artifact."""
DATA_URL = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
"""The head of a data URL (RFC 2397): media type, parameters, comma."""
REFERENCE_FORMS = (
    "Give an artifact (its id, 'artifact:<id>', or the object that a tool or an upload gave), "
    "an http or https URL, or a data URL."
)
REFERENCE_SCHEMA: Mapping[str, Any] = {
    "type": ["string", "object"],
    "description": "An artifact's id or the artifact itself, an http(s) URL, or a data URL.",
}
"""The JSON schema of a tool's argument that names a file."""


@dataclass(frozen=True)
class Reference:
    """Where a file is: the id of an artifact, or a URL."""

    kind: Kind
    value: str


@dataclass(frozen=True)
class ReferencedFile:
    """The bytes of a file with what is known of them; `artifact` is its id, where it is one."""

    data: bytes
    media_type: str
    artifact: str | None = None


def parse_reference(value: Any, field: str) -> Reference:
    """Parse what a value refers to. Raises `Invalid` (`invalid_reference`) naming the field."""
    if isinstance(value, Mapping):
        inner = value.get("artifact")
        value = inner.get("id") if isinstance(inner, Mapping) else value.get("id") or inner
    if isinstance(value, str):
        text = value.strip()
        if CONTENT_HASH.fullmatch(text):
            return Reference("artifact", text)
        if address := ARTIFACT_ADDRESS.fullmatch(text):
            return Reference("artifact", address[1])
        if text[:5].lower() == "data:":
            return Reference("data", text)
        if text[:8].lower().startswith(("http://", "https://")):
            return Reference("url", text)
    raise Invalid(
        f"{field} names no file. {REFERENCE_FORMS}",
        code="invalid_reference",
        details={"field": field},
    )


def encode_data_url(data: bytes, media_type: str) -> str:
    """Encode bytes as a URL that holds them."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def decode_data_url(url: str, field: str) -> ReferencedFile:
    """Decode the bytes of a data URL. Raises `Invalid` (`invalid_reference`) naming the field."""
    head = DATA_URL.match(url)
    try:
        if head is None:
            raise ValueError("it has no comma")
        body = url[head.end() :]
        if ";base64" in head[2].lower():
            data = base64.b64decode(unquote_to_bytes(body), validate=True)
        else:
            data = unquote_to_bytes(body)
    except (ValueError, binascii.Error) as error:
        raise Invalid(
            f"{field} is a broken data URL: {error}.",
            code="invalid_reference",
            details={"field": field},
        ) from error
    return ReferencedFile(data, head[1].strip().lower() or "text/plain")


class ReferenceReader:
    """Reads the files that callers name; URLs from public addresses, within `limits`."""

    def __init__(
        self, artifacts: Artifacts, limits: FetchLimits, resolve: Resolve | None = None
    ) -> None:
        self._artifacts = artifacts
        self._limits = limits
        self._resolve = resolve

    async def read(
        self, value: Any, *, field: str, tenant: str, check: CheckAddress = allow_address
    ) -> ReferencedFile:
        """Read the file that a value refers to; `check` is `safe_fetch.fetch`'s.

        Raises `Invalid` (`invalid_reference`), `NotFound` (`artifact_not_found`), and what
        `safe_fetch.fetch` raises.
        """
        reference = parse_reference(value, field)
        if reference.kind == "data":
            return decode_data_url(reference.value, field)
        if reference.kind == "url":
            fetched = await fetch(reference.value, self._limits, resolve=self._resolve, check=check)
            return ReferencedFile(fetched.data, fetched.media_type)
        about = await self._artifacts.get(reference.value, tenant=tenant)
        data = await self._artifacts.read(reference.value, tenant=tenant)
        return ReferencedFile(data, about.media_type, about.id)
