"""What the tools for pictures and sound are made of, and what they have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from config.errors import Unavailable
from models.catalog.spec import Task
from models.lease import Lease, ModelSource
from tools.artifacts import Artifact, Artifacts
from tools.media import Media, PreparedPicture
from tools.references import ReferenceReader
from tools.spec import ToolContext

Result = TypeVar("Result")
MEDIA_CALL_TIMEOUT_S = 3600.0
"""A bound on one call: a model may have to be loaded first, and wait for memory."""
MAX_PROMPT_CHARS = 20_000


@dataclass(frozen=True)
class MediaToolDeps:
    """Models to lease, files to read and to prepare, and where what is made is kept."""

    models: ModelSource
    media: Media
    artifacts: Artifacts
    files: ReferenceReader


async def read_picture(
    value: Any, field: str, making: MediaToolDeps, context: ToolContext
) -> PreparedPicture:
    """The picture that a value refers to, fit for a model. Raises as reading it does."""
    file = await making.files.read(value, field=field, tenant=context.tenant)
    return await making.media.prepare_picture(file.data)


async def run_with_model(
    making: MediaToolDeps,
    name: str,
    task: Task,
    context: ToolContext,
    work: Callable[[Lease], Awaitable[Result]],
) -> Result:
    """The result of `work` with a leased model. Raises as leasing does, and as the work does."""

    def told(event: dict[str, Any]) -> None:
        if event.get("phase") != "ready":
            context.tell("model", **event)

    attempts = making.models.attempts(name, task, tenant=context.tenant, on_event=told)
    async for attempt in attempts:
        async with attempt as lease:
            return await work(lease)
    raise Unavailable(f"Model '{name}' gave nothing.", code="response_empty")


async def store_artifact(
    making: MediaToolDeps,
    data: bytes,
    media_type: str,
    context: ToolContext,
    about: Mapping[str, Any],
    **shown: Any,
) -> dict[str, Any]:
    """Store what was made, tell of it, and give the artifact as JSON, with what else is `shown`.

    `about` is its provenance beside run and node.
    """
    provenance = {"run": context.run_id, "node": context.node, **about}
    known = {key: value for key, value in provenance.items() if value not in (None, "", {}, [])}
    stored = await making.artifacts.put(
        data, media_type=media_type, provenance=known, tenant=context.tenant
    )
    artifact = describe_artifact(stored, **shown)
    context.tell("artifact", **artifact)
    return artifact


def describe_artifact(artifact: Artifact, **shown: Any) -> dict[str, Any]:
    """An artifact as a state and an event hold it: never its bytes."""
    return {
        "id": artifact.id,
        "url": f"/artifacts/{artifact.id}",
        "name": artifact.filename,
        "media_type": artifact.media_type,
        "size_bytes": artifact.size_bytes,
        **shown,
    }


def pick_arguments(arguments: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Those arguments that were given, and are not empty."""
    return {name: arguments[name] for name in names if arguments.get(name) not in (None, "")}


def model_argument(role: str, what: str) -> dict[str, Any]:
    """The argument that names a model."""
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": 200,
        "default": role,
        "description": f"{what}: a role or a model's name. Leave it out unless told otherwise.",
    }
