"""What a search asks for, once it is checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from indexes.retrieval.expansion import Expand
from indexes.retrieval.filters import Filter

Mode = Literal["hybrid", "dense", "keyword"]


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What to look for, checked. `rerank` None: as the index says."""

    text: str
    limit: int
    mode: Mode
    documents: Sequence[str] | None = None
    filter: Filter | None = None
    expand: Expand = "none"
    highlight: bool = False
    explain: bool = False
    rerank: bool | None = None
