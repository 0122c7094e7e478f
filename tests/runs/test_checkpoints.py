"""Our saver against the library's own conformance suite, and what we added to it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from langgraph.checkpoint.conformance import checkpointer_test, validate

from runs.checkpoints import Checkpoints, open_checkpoints
from runs.database import open_run_database


@checkpointer_test(name="Checkpoints")
async def saver() -> AsyncIterator[Checkpoints]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.db"
        async with open_run_database(path) as database, open_checkpoints(database, path) as opened:
            yield opened


async def test_the_saver_passes_langgraphs_conformance_suite() -> None:
    report = await validate(saver)
    failed = {name: r.failures for name, r in report.results.items() if r.failures}
    assert report.passed_all_base(), failed
    assert report.results["copy_thread"].passed, failed
