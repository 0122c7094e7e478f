"""How large an index says it is, and its threshold."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import NotFound
from indexes.quality.calibration import Threshold
from indexes.service import Indexes
from tests.support.tenants import TENANT

GARDEN = "# Gärten\n\nTomaten mögen Wärme.\n"


async def test_an_empty_index_has_nothing(indexes: Indexes) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    stats = await notes.stats()
    assert (stats.documents, stats.passages, stats.vectors, stats.derived_bytes) == (0, 0, 0, 0)
    assert (stats.media_types, stats.updated_at, stats.threshold) == ({}, None, None)


async def test_stats_count_what_is_there(indexes: Indexes, data_folder: Path) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    for source in ("a.md", "b.md", "c.txt"):
        await notes.add_document(source=source, data=GARDEN.encode())
    stats = await notes.stats()
    assert (stats.index, stats.documents, stats.passages) == ("notes", 3, 3)
    assert stats.vectors == 1, "the three have the same words"
    assert stats.vector_bytes == 64 * 4
    assert stats.media_types == {"text/markdown": 2, "text/plain": 1}
    assert stats.size_bytes == 3 * len(GARDEN.encode())
    assert stats.text_bytes - stats.characters == 3 * 3, "three letters take two bytes"
    assert stats.fingerprint == "hashing-1"
    assert stats.pending_changes == 3
    assert stats.sqlite_bytes > 2 * stats.text_bytes
    assert stats.memory_bytes >= 3 * 64 * 4
    info = await notes.describe()
    assert (info.documents, info.passages) == (stats.documents, stats.passages)


async def test_a_saved_index_takes_room_on_the_disk(indexes: Indexes) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    await notes.add_document(source="a.md", data=GARDEN.encode())
    await notes.rebuild()
    stats = await notes.stats()
    assert stats.derived_bytes > 0
    assert stats.pending_changes == 0


async def test_a_threshold_is_kept_for_its_index(indexes: Indexes) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    docs = await indexes.get("docs", tenant=TENANT)
    await notes.add_document(source="a.md", data=GARDEN.encode())
    threshold = Threshold(0.41, "hashing-1", 40, 0.9, 0.8, 1.5, {"curve": [[0.4, 0.9]]})
    await notes.set_threshold(threshold)
    assert await notes.get_threshold() == threshold
    assert (await notes.stats()).threshold == threshold
    assert await docs.get_threshold() is None
    await notes.set_threshold(None)
    assert await notes.get_threshold() is None
    with pytest.raises(NotFound):
        await indexes.get("note", tenant=TENANT)


async def test_a_threshold_of_other_vectors_does_not_count(indexes: Indexes) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    await notes.set_threshold(Threshold(0.41, "another model"))
    assert await notes.get_threshold() is None
    await notes.set_threshold(Threshold(0.41))
    assert await notes.get_threshold() is not None
