"""Whatever comes in over HTTP, no answer is a fault of ours, and every error has the envelope."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import httpx
import pytest

from benchmarks.hostile.attack import attack, has_envelope
from benchmarks.hostile.requests import hostile_requests, list_operations
from tests.support.forked import ForkedServer
from tests.support.service import open_client

COUNT = 500


async def test_hostile_requests_over_all_routes_are_answered_in_the_envelope(
    tmp_path: Path,
) -> None:
    server = ForkedServer(tmp_path, drain_s="1", log_level="error")
    await server.start()

    outcome = await attack(server.url, COUNT, seed=2)

    assert outcome.faults == []
    assert outcome.plain == []
    assert [name for name in outcome.unanswered if not name.startswith("bytes")] == []
    assert {status for status in outcome.statuses if status >= 500} <= {503, 504}
    assert sum(outcome.statuses.values()) >= COUNT
    async with open_client(server.url) as client:
        assert (await client.get("/health")).json() == {"status": "ok"}
    assert await server.stop() == 0


async def test_every_operation_gets_several_kinds_of_hostile_requests(
    client: httpx.AsyncClient,
) -> None:
    api = (await client.get("/openapi.json")).json()
    sent = list(hostile_requests(api, {}, count=COUNT))
    kinds = Counter(each.kind for each in sent)
    assert len(kinds) >= 9
    assert min(kinds.values()) > COUNT / 20
    assert COUNT / len(list_operations(api)) > 5
    assert sent == list(hostile_requests(api, {}, count=COUNT))


@pytest.mark.parametrize(
    ("kind", "body", "judged"),
    [
        ("text/plain", b"Not Found", False),
        ("application/json", b"{}", False),
        ("application/json", b"no JSON", False),
        ("application/json", b'{"error": {"code": "x"}}', False),
        (
            "application/json",
            b'{"error": {"code": "x", "family": "y", "message": "z", "details": {}}}',
            True,
        ),
    ],
)
def test_error_without_the_envelope_is_seen(kind: str, body: bytes, judged: bool) -> None:
    response = httpx.Response(404, headers={"Content-Type": kind}, content=body)
    assert has_envelope(response) is judged
