"""The tables of rings: each entry still names tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.rings import ACCEPTANCE, PURE, SLOW, RingGuard, is_slow, ring_of

ROOT = Path(__file__).parents[2]
NODES = [
    f"{file.relative_to(ROOT)}::{function}"
    for file in sorted((ROOT / "tests").rglob("test_*.py"))
    for function in re.findall(r"def (test_\w+)", file.read_text())
]


@pytest.mark.parametrize("entry", [*ACCEPTANCE, *PURE, *SLOW])
def test_entry_of_a_table_names_a_test(entry: str) -> None:
    assert any(node.startswith(entry) for node in NODES)


@pytest.mark.parametrize(
    ("node", "ring", "slow"),
    [
        ("tests/acceptance/test_run.py::test_x", "acceptance", False),
        ("tests/models/scheduling/test_queue.py::test_x", "pure", False),
        ("tests/models/scheduling/test_invariants.py::test_x", "pure", True),
        ("tests/models/workers/test_process.py::test_x", "component", True),
        ("tests/a_new_folder/test_y.py::test_x", "component", False),
    ],
)
def test_ring_and_speed_follow_from_the_path(node: str, ring: str, slow: bool) -> None:
    assert (ring_of(node), is_slow(node)) == (ring, slow)


def test_guard_refuses_a_connection_in_a_pure_test_alone() -> None:
    guard = RingGuard()

    guard("socket.connect", ())
    guard.test = "tests/pure.py::test_x"
    guard("open", ("file",))

    with pytest.raises(RuntimeError, match="is a pure test"):
        guard("socket.connect", ())
