"""What the nodes of one run may use: models, indexes, tools, and the tenant they work for.

Owns the protocols of the indexes and tools, as nodes need them; the one of models is
`models.lease`'s. Python agents get the same context from LangGraph's runtime.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from langgraph.cache.base import BaseCache

from models.lease import ModelSource

if TYPE_CHECKING:
    from indexes.retrieval.completeness import SearchResults
    from tools.spec import Tool


class DocumentSource(Protocol):
    """One index. Raises `NotFound` for an unknown document."""

    async def get_threshold(self) -> Any:
        """Read what calibrating the index found, with its `value`; None if it was not done."""
        ...

    async def list_documents(self, *, limit: int = 100, offset: int = 0) -> Sequence[Any]: ...

    async def get_document(self, id: str) -> Any: ...


class PassageSource(Protocol):
    """Where passages and documents are found. Raises `NotFound` for an unknown index."""

    async def search(
        self,
        names: Any,
        query: str,
        *,
        limit: int = 8,
        mode: Any = "hybrid",
        documents: list[str] | None = None,
        where: Mapping[str, Any] | None = None,
        expand: Any = "none",
        rerank: bool | None = None,
        highlight: bool = False,
        tenant: str,
    ) -> SearchResults[Any]:
        """Find passages of one index, or of several (`names` is a list), best first."""
        ...

    async def get(self, name: str, tenant: str) -> DocumentSource:
        """Look up one index of a tenant."""
        ...


class ToolSource(Protocol):
    """Where tools are found by name. `get` raises `NotFound` that proposes the nearest name."""

    def get(self, name: str) -> Tool: ...

    def names(self) -> list[str]: ...


class ReadPicture(Protocol):
    """Makes a data URL of the picture that a value refers to.

    `check` raises for a URL that may not be fetched, and sees that of each redirect.
    """

    async def __call__(
        self, value: Any, field: str, tenant: str, check: Callable[[str], None]
    ) -> str: ...


ClaimStep: TypeAlias = Callable[[str], Awaitable[bool]]
"""Tells whether a step, by its id, is claimed for the first time in its run, over crashes too.

The claim is durable when the call returns, and so is all by which a restarted run finds the step.
"""


@dataclass(frozen=True)
class RunContext:
    """LangGraph's run-time context; whoever starts a run makes one. Nodes close none of it."""

    models: ModelSource
    indexes: PassageSource
    tools: ToolSource
    tenant: str
    run_id: str = ""
    thread_id: str | None = None
    cache: BaseCache[Any] | None = None
    """Results of nodes that ask for it, of all runs; without one nothing is cached."""
    read_picture: ReadPicture | None = None
    web_hosts: tuple[str, ...] = ()
    """Hosts whose addresses models may choose although something private was read."""
    claim_step: ClaimStep | None = None
    """Without one every claim is the first."""
