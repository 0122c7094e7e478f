"""`kill -9` at random moments of everything that changes an index, a hundred times."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

KILLS = int(os.environ.get("MOTET_TEST_KILLS", "100"))
SEED = int(os.environ.get("MOTET_TEST_SEED", "1"))
WORKER_KILLS = KILLS // 5
SIDE_BY_SIDE = 2
BOUND_S = 30 + 10 * KILLS


async def lives(home: Path, seed: int, kills: int, *mode: str) -> dict[str, int]:
    child = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "tests.support.killed_indexes",
            str(home),
            str(seed),
            str(kills),
            *mode,
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(BOUND_S):
        out, told = await child.communicate()
    assert child.returncode == 0, told.decode()[-4000:]
    counts: dict[str, int] = json.loads(out)
    return counts


async def test_killed_service_loses_nothing_acknowledged_and_serves_nothing_half(
    tmp_path: Path,
) -> None:
    each = -(-KILLS // SIDE_BY_SIDE)
    homes = [tmp_path / str(number) for number in range(SIDE_BY_SIDE)]
    counts = await asyncio.gather(
        *(lives(home, SEED + number, each) for number, home in enumerate(homes))
    )
    assert sum(sum(count.values()) for count in counts) >= KILLS
    journals = [home.parent / f"{home.name}.journal" for home in homes]
    acknowledged = sum(journal.read_text().count('"done"') for journal in journals)
    assert acknowledged > KILLS // 4, "hardly anything was done between the kills"


async def test_service_whose_index_worker_is_killed_repeatedly_serves_and_loses_nothing(
    tmp_path: Path,
) -> None:
    counts = await lives(tmp_path / "home", SEED, WORKER_KILLS, "workers")
    assert counts["worker"] >= WORKER_KILLS
