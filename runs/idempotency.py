"""Keys by which a client asks for something once, however often its request comes.

Owns which requests count as the same one. Invariant: a key is stored in one transaction with what
its request did.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from runs.database import Statement
from runs.record import Run, RunRequest

FIND_KEY = "SELECT run_id, request, after FROM idempotency WHERE tenant = ? AND key = ?"


@dataclass(frozen=True)
class IdempotencyKey:
    """A client's key, with a digest of the request that brings it."""

    tenant: str
    key: str
    digest: str


class KeyRow(NamedTuple):
    """What is known of a key: its run, the digest of its request, and what came before it.

    `after` is the number of the run's last event when the request came.
    """

    run_id: str
    request: str
    after: int


class KeyedRun(NamedTuple):
    """A run, and the number of the event behind which a request's own events begin."""

    run: Run
    after: int


def key_of_run(request: RunRequest) -> IdempotencyKey | None:
    """Return the key of a request to run an agent: all but the key and the tenant is digested."""
    if request.idempotency_key is None:
        return None
    parts: list[Any] = [request.agent, request.input, request.thread_id, request.checkpoint_id]
    # What is as it is for most is left out: keys of earlier versions were stored without it.
    if request.webhook or request.metadata or request.multitask != "enqueue":
        parts += [request.webhook, request.metadata, request.multitask]
    return IdempotencyKey(request.tenant, request.idempotency_key, _digest(parts))


def key_of_answer(tenant: str, key: str | None, asker: str, answer: Any) -> IdempotencyKey | None:
    """Return the key of an answer to `asker`: the run, or the thread, that the request names."""
    if key is None:
        return None
    return IdempotencyKey(tenant, key, _digest({"asker": asker, "answer": answer}))


def note_key(key: IdempotencyKey, run_id: str, after: int, at: float) -> Statement:
    """Note what a key's request was about. Refused by the database where the key exists."""
    return Statement(
        "INSERT INTO idempotency (tenant, key, run_id, request, after, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (key.tenant, key.key, run_id, key.digest, after, at),
    )


def _digest(parts: Any) -> str:
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()
