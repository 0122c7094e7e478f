"""Worker side: the handler that owns every derived index. The synchronizer starts its process.

Owns which indexes are open and which are being built. One thread runs every request, in order;
only searches that wait at the same time are answered together.

Invariant: an index in memory has seen exactly the changes up to `change`, or it is dropped; but it
may lack passages that a later change removes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from config.errors import Unavailable
from indexes.derived import folder
from indexes.derived.hybrid_index import Floats, HybridIndex
from indexes.derived.ranking import Query, search
from indexes.derived.tokens import Tokenizer
from models.workers.host import TaskHandle

Request = tuple[dict[str, Any], bytes]
"""Header and body, as `models.workers.host` hands them in."""
Answer = tuple[dict[str, Any], bytes]


@dataclass(slots=True)
class _OpenIndex:
    """A derived index and the last change of storage that it has seen."""

    index: HybridIndex
    fingerprint: str
    change: int


class IndexHandler:
    """Answers the requests of `worker_client`. Options: `folder`, where indexes are saved."""

    batched = frozenset({"search"})

    def __init__(self, options: dict[str, Any]) -> None:
        self._folder = Path(options["folder"])
        self._tokenize = Tokenizer()
        self._open: dict[str, _OpenIndex] = {}
        self._building: dict[str, _OpenIndex] = {}

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        methods = {
            "open": self._load,
            "build": self._build,
            "apply": self._apply,
            "swap": self._swap,
            "save": self._save,
            "redact": self._redact,
            "drop": self._drop,
        }
        return methods[method](header["index"], header, body), b""

    def handle_batch(self, method: str, requests: Sequence[Request]) -> list[Answer | Exception]:
        """Answer `search` requests; queries of one index share a pass over its vectors."""
        answers: dict[int, Answer | Exception] = {}
        by_index: dict[tuple[str, str], list[int]] = defaultdict(list)
        for at, (header, _) in enumerate(requests):
            by_index[header["index"], header["fingerprint"]].append(at)
        for (id, fingerprint), positions in by_index.items():
            try:
                index = self._opened(id, fingerprint).index
                rankings = search(index, [self._query(*requests[at]) for at in positions])
            except Exception as error:
                answers.update(dict.fromkeys(positions, error))
                continue
            for at, ranking in zip(positions, rankings, strict=True):
                why = {} if ranking.why is None else {"why": ranking.why}
                answers[at] = ({"hits": ranking.hits, "meaning": ranking.meaning, **why}, b"")
        return [answers[at] for at in range(len(requests))]

    def _query(self, header: dict[str, Any], body: bytes) -> Query:
        size = header["vector_bytes"]
        return Query(
            tokens=self._tokenize(header["query"]),
            vector=np.frombuffer(body[:size], dtype="<f4") if size else None,
            mode=header["mode"],
            weight=header["weight"],
            limit=header["limit"],
            allowed=np.frombuffer(body[size:], "<i8") if header["filtered"] else None,
            explain=header.get("explain", False),
        )

    def _load(self, id: str, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        """Open what was saved, unless it lacks removals that storage has forgotten."""
        loaded = folder.load(self._folder / id, header["fingerprint"])
        if loaded.change < header["oldest"]:
            loaded = folder.LoadedIndex(HybridIndex(), 0)
        self._open[id] = _OpenIndex(loaded.index, header["fingerprint"], loaded.change)
        return {"change": loaded.change}

    def _build(self, id: str, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        """Begin an index from nothing beside the open one; `apply` fills it, `swap` opens it."""
        self._building[id] = _OpenIndex(HybridIndex(), header["fingerprint"], 0)
        return {}

    def _apply(self, id: str, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        opened = self._building.get(id) if header["building"] else self._opened(id)
        if opened is None or opened.change != header["after"]:
            raise Unavailable("The index has seen other changes.", code="index_stale")
        try:
            self._change(opened.index, header, body)
        except BaseException:
            # Half a change is worse than none: the index is opened anew, and the rest replayed.
            self._drop(id, header, body)
            raise
        opened.change = header["upto"]
        return {}

    def _change(self, index: HybridIndex, header: dict[str, Any], body: bytes) -> None:
        index.delete(header["removed"])
        if numbers := header["numbers"]:
            vectors: Floats = np.frombuffer(body, dtype="<f4").reshape(len(numbers), -1)
            index.add(numbers, [self._tokenize(text) for text in header["texts"]], vectors)

    def _swap(self, id: str, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        self._open[id] = self._building.pop(id)
        return self._save(id, header, body)

    def _save(self, id: str, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        opened = self._opened(id)
        folder.save(opened.index, self._folder / id, opened.fingerprint, opened.change)
        return {"change": opened.change}

    def _redact(self, id: str, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        """Take the words of removed passages out of what is saved."""
        opened = self._open.get(id)
        root = self._folder / id
        index = opened.index if opened else folder.load(root, header["fingerprint"]).index
        index.delete(header["removed"])
        folder.redact(index, root)
        return {}

    def _drop(self, id: str, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        self._open.pop(id, None)
        self._building.pop(id, None)
        return {}

    def _opened(self, id: str, fingerprint: str | None = None) -> _OpenIndex:
        opened = self._open.get(id)
        if opened is None or fingerprint not in (None, opened.fingerprint):
            raise Unavailable("The index is not open in its worker.", code="index_stale")
        return opened
