"""What the nodes of one run are given: models, indexes, tools, and for whom they work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from langgraph.cache.base import BaseCache

from models.lease import ModelSource

if TYPE_CHECKING:
    from tools.spec import Tool

Emit = Callable[[dict[str, Any]], None]


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
        tenant: str = "default",
    ) -> Sequence[Any]:
        """Passages of one index, or of several given as a list, best first."""
        ...

    async def get(self, name: str, tenant: str = "default") -> DocumentSource:
        """Look up one index of a tenant."""
        ...


class ToolSource(Protocol):
    """Where tools are found by name. `get` raises `NotFound` that proposes the nearest name."""

    def get(self, name: str) -> Tool: ...

    def names(self) -> list[str]: ...


@dataclass(frozen=True)
class RunContext:
    """LangGraph's run-time context; whoever starts a run makes one. Nodes close none of it.

    `cache` keeps the results of nodes that ask for it; without one nothing is cached. `claim`
    says whether a step of the run claims it for the first time, over crashes too: durable when it
    returns. Without one every claim is the first. `picture` makes a data URL of a picture that a
    value refers to, for a field and a tenant.
    """

    models: ModelSource
    indexes: PassageSource
    tools: ToolSource
    tenant: str = "default"
    run_id: str = ""
    thread_id: str | None = None
    cache: BaseCache[Any] | None = None
    picture: Callable[[Any, str, str], Awaitable[str]] | None = None
    claim: Callable[[str], Awaitable[bool]] | None = None
