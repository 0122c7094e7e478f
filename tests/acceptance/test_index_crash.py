"""Ingests that the server's end cut short go on at the next start, without being asked."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.support.forked import ForkedServer
from tests.support.service import open_client
from tests.support.site import Site, serving

BOUND_S = 120


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("end", ["killed", "stopped"])
async def test_a_crawl_goes_on_after_a_restart(end: str, background: bool, tmp_path: Path) -> None:
    server = ForkedServer(
        tmp_path, drain_s="0.2", log_level="error", allowed_networks='["127.0.0.1/32"]'
    )
    await server.start()
    async with serving(Site()) as site:
        reached, over = asyncio.Event(), asyncio.Event()

        async def hanging(writer: asyncio.StreamWriter) -> None:
            reached.set()
            await over.wait()

        site.page("/", b"<p>Welcome.</p><a href='/slow'>slow</a>", "text/html")
        site.pages["/slow"] = hanging
        body = {"crawl": site.url("/"), "background": background}
        async with open_client(server.url) as client:
            crawl = asyncio.create_task(client.post("/indexes/docs/documents", json=body))
            await asyncio.wait_for(reached.wait(), BOUND_S)
            await (server.kill() if end == "killed" else server.stop())
            with suppress(httpx.HTTPError):
                await crawl
        over.set()
        site.page("/slow", b"<p>Snails are slow.</p>", "text/html")
        await server.start()
        async with open_client(server.url) as client:
            async with asyncio.timeout(BOUND_S):
                while await state(client) == "running":  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            assert await state(client) == "finished"
            listed = (await client.get("/indexes/docs/documents")).json()["documents"]
        assert [each["source"] for each in listed] == [site.url("/"), site.url("/slow")]
    await server.stop()


async def state(client: httpx.AsyncClient) -> str:
    """Of the one ingest that there is."""
    [ingest] = (await client.get("/indexes/docs/ingests")).json()["ingests"]
    return str(ingest["state"])
