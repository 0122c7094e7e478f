"""What the tools for pictures and sound need, and what a call of one of them does.

Owns the way from a tool's arguments to files, a leased model, progress and a stored artifact. What
a tool draws, says or hears is its own module's matter. Bytes never enter a result or an event:
an artifact is named by its id.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from config.errors import Unavailable
from models.catalog.spec import Task
from models.lease import Lease, ModelSource
from tools.artifact_record import Artifact
from tools.artifacts import Artifacts
from tools.media import Media, PreparedPicture, TenantMedia
from tools.references import ReferencedFile, ReferenceReader
from tools.spec import Reads, Tool, ToolContext

Result = TypeVar("Result")
MEDIA_CALL_TIMEOUT_S = 3600.0
"""A bound on one call: a model may have to be loaded first, and wait for memory."""
MAX_PROMPT_CHARS = 20_000
EMPTY: tuple[Any, ...] = (None, "", {}, [])
"""What says nothing in a provenance."""


@dataclass(frozen=True)
class MediaToolDeps:
    """Models to lease, files to read and to prepare, and the store for artifacts."""

    models: ModelSource
    media: Media
    artifacts: Artifacts
    files: ReferenceReader


@dataclass(frozen=True)
class MediaCall:
    """One call of a tool for pictures or sound, on behalf of its context's tenant, run and node."""

    deps: MediaToolDeps
    context: ToolContext

    @property
    def media(self) -> TenantMedia:
        """What parses and makes files of the tenant."""
        return self.deps.media.of_tenant(self.context.tenant)

    async def read_file(self, value: Any, field: str) -> ReferencedFile:
        """Read the file that an argument refers to. Raises as `ReferenceReader.read` does."""
        tenant, check = self.context.tenant, self.context.check_address
        return await self.deps.files.read(value, field=field, tenant=tenant, check=check)

    async def read_picture(self, value: Any, field: str) -> PreparedPicture:
        """Read the picture that an argument refers to, made fit for a model.

        Raises as `read_file` does, and `Invalid` (`unreadable_image`, `too_large`).
        """
        file = await self.read_file(value, field)
        return await self.media.prepare_picture(file.data)

    async def run_with_model(
        self, name: str, task: Task, work: Callable[[Lease], Awaitable[Result]]
    ) -> Result:
        """Run `work` with a leased model and return its result.

        Waits for the model; events tell of it. `work` runs once more where it ran out of memory,
        so that it must begin afresh each time. Raises as leasing does, and as `work` does.
        """
        attempts = self.deps.models.attempts(
            name, task, tenant=self.context.tenant, on_event=self._emit_model_event
        )
        async for attempt in attempts:
            async with attempt as lease:
                return await work(lease)
        raise Unavailable(f"Model '{name}' gave nothing.", code="response_empty")

    async def store_artifact(
        self, data: bytes, media_type: str, about: Mapping[str, Any], **shown: Any
    ) -> dict[str, Any]:
        """Store bytes, send the event `artifact`, and return the artifact as JSON.

        `about` is its provenance beside run and node; what else is `shown` stands in the JSON.
        Durable on return, as `Artifacts.put` is.
        """
        provenance = {"run": self.context.run_id, "node": self.context.node, **about}
        stored = await self.deps.artifacts.put(
            data,
            media_type=media_type,
            provenance={key: value for key, value in provenance.items() if value not in EMPTY},
            tenant=self.context.tenant,
        )
        artifact = describe_artifact(stored, **shown)
        self.context.send_event("artifact", **artifact)
        return artifact

    def _emit_model_event(self, event: dict[str, Any]) -> None:
        # A model that was ready before is no news to whoever follows the run.
        if event.get("phase") != "ready":
            self.context.send_event("model", **event)


RunMediaCall: TypeAlias = Callable[[dict[str, Any], MediaCall], Awaitable[dict[str, Any]]]


def build_media_tool(
    deps: MediaToolDeps,
    name: str,
    description: str,
    parameters: Mapping[str, Any],
    run_call: RunMediaCall,
    *,
    timeout_s: float = MEDIA_CALL_TIMEOUT_S,
    reads: Reads = "nothing",
    addresses: tuple[str, ...],
) -> Tool:
    """Build a tool of a function from arguments and `MediaCall` to JSON.

    Such tools may be repeated: artifacts are named by their content.
    """

    async def run(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        return await run_call(arguments, MediaCall(deps, context))

    return Tool(
        *(name, description, parameters, run),
        repeatable=True,
        timeout_s=timeout_s,
        reads=reads,
        addresses=addresses,
    )


def describe_artifact(artifact: Artifact, **shown: Any) -> dict[str, Any]:
    """Return an artifact as a state and an event hold it: never its bytes."""
    return {
        "id": artifact.id,
        "url": f"/artifacts/{artifact.id}",
        "name": artifact.filename,
        "media_type": artifact.media_type,
        "size_bytes": artifact.size_bytes,
        **shown,
    }


def pick_arguments(arguments: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return those of the named arguments that are there and not empty."""
    return {name: arguments[name] for name in names if arguments.get(name) not in (None, "")}


def model_argument(role: str, what: str) -> dict[str, Any]:
    """Return the JSON schema of the argument that names a model; `role` is its default."""
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": 200,
        "default": role,
        "description": f"{what}: a role or a model's name. Leave it out unless told otherwise.",
    }
