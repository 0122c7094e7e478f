"""`motet prune`: how what was deleted is told."""

from __future__ import annotations

import pytest

from runs.retention import Pruned
from server.cli.retention import describe_pruned


@pytest.mark.parametrize(
    ("pruned", "said"),
    [
        (Pruned(), "nothing"),
        (Pruned(freed_bytes=24_576), "24.6 kB of the database"),
        (
            Pruned(1, 2, 1, 3_500_000, 1),
            "1 run, 2 threads, 1 artifact, 1 idempotency key, 3.5 MB of artifacts",
        ),
    ],
)
def test_what_was_pruned_is_told_in_words(pruned: Pruned, said: str) -> None:
    assert describe_pruned(pruned.as_dict()) == said
