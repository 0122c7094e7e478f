"""The reading worker: hostile documents cost themselves, nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from config.errors import Invalid, Unavailable
from indexes.reading.reader import DocumentReader


@asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[DocumentReader]:
    reader = DocumentReader(**options)
    try:
        yield reader
    finally:
        await reader.close()


async def test_a_document_that_takes_too_long_is_refused_and_the_next_one_read() -> None:
    async with opened(timeout_s=0.3) as reader:
        with pytest.raises(Invalid, match="more than") as caught:
            await reader.read(b"<b>x" * 400_000, "slow.html", None, 200, tenant="a")
        assert caught.value.code == "unreadable_document"
    async with opened() as reader:
        assert (await reader.read(b"next", "b.txt", None, 200, tenant="a")).text == "next"


async def test_a_document_that_takes_too_much_memory_is_refused_and_the_next_one_read() -> None:
    async with opened(memory_bytes=400 * 2**20) as reader:
        with pytest.raises(Invalid) as caught:
            await reader.read(b"<p>x" * 2_000_000, "large.html", None, 200, tenant="a")
        assert caught.value.details["file"] == "large.html"
        assert (await reader.read(b"next", "b.txt", None, 200, tenant="a")).text == "next"


async def test_errors_of_the_worker_reach_the_server_unchanged() -> None:
    async with opened() as reader:
        with pytest.raises(Invalid, match="binary") as caught:
            await reader.read(b"\0\1", "a.txt", None, 200, tenant="a")
        assert (caught.value.code, caught.value.details["file"]) == ("unreadable_document", "a.txt")


async def test_an_image_is_read_by_its_caption() -> None:
    out = BytesIO()
    Image.new("RGB", (4, 3)).save(out, "PNG")
    async with opened() as reader:
        reading = await reader.read(
            out.getvalue(), "a.png", None, 200, tenant="a", caption="A red ferry."
        )
        assert (reading.text, reading.metadata["width"]) == ("A red ferry.", 4)
        with pytest.raises(Invalid) as caught:
            await reader.read(out.getvalue(), "a.png", None, 200, tenant="a")
        assert caught.value.code == "needs_caption_model"


async def test_read_after_close_is_refused() -> None:
    async with opened() as reader:
        pass
    with pytest.raises(Unavailable):
        await reader.read(b"x", "a.txt", None, 200, tenant="a")


async def test_no_process_reads_documents_of_two_tenants() -> None:
    async with opened() as reader:

        async def process_of(tenant: str) -> int:
            await reader.read(b"text", "a.txt", None, 200, tenant=tenant)
            assert reader._worker._worker
            return reader._worker._worker.pid

        first = await process_of("a")
        assert await process_of("a") == first
        second = await process_of("b")
        assert second != first
        assert await process_of("a") not in (first, second)
