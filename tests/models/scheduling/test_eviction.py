"""Whom to unload, and when not to."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.scheduling.eviction import Resident, admit, victims


def resident(name: str, memory_bytes: int, **fields: Any) -> Resident:
    usual = {"busy": False, "kept": False, "pinned": False, "cost": 2.0}
    return Resident((name,), {"ram": memory_bytes}, **{**usual, **fields})


def ram(*amounts: int) -> list[dict[str, int]]:
    return [{"ram": amount} for amount in amounts]


def test_what_fits_is_let_in_and_evicts_nothing() -> None:
    assert admit(*ram(5, 5, 10), [resident("a", 5)]).verdict == "fits"


def test_the_cheapest_sufficient_set_goes() -> None:
    residents = [resident("slow", 6, cost=60.0), resident("a", 3), resident("b", 4)]
    assert set(admit(*ram(6, 0, 20), residents).models) == {"a", "b"}
    assert admit(*ram(4, 0, 20), residents).models == ("b",)


def test_one_victim_that_suffices_goes_alone_when_it_is_cheaper_than_several() -> None:
    residents = [resident("a", 3, cost=1.0), resident("b", 3, cost=1.0), resident("c", 6, cost=1.5)]
    assert admit(*ram(6, 0, 20), residents).models == ("c",)


def test_one_set_frees_several_devices_at_once() -> None:
    def on(name: str, memory: dict[str, int], cost: float) -> Resident:
        return Resident((name,), memory, pinned=False, busy=False, kept=False, cost=cost)

    residents = [
        on("gpu", {"cuda:0": 8}, 1.0),
        on("ram", {"ram": 8}, 1.0),
        on("both", {"cuda:0": 8, "ram": 8}, 1.9),
    ]
    need = {"cuda:0": 8, "ram": 8}
    admission = admit(need, {"cuda:0": 0, "ram": 0}, need, residents)
    assert admission.models == ("both",)
    assert admit(need, {"cuda:0": 8, "ram": 0}, need, residents).models == ("ram",)


def test_models_that_share_their_memory_go_together() -> None:
    shared = Resident(("a", "b"), {"ram": 5}, pinned=False, busy=False, kept=False, cost=1.0)
    assert admit(*ram(5, 0, 10), [shared]).models == ("a", "b")


def test_busy_kept_and_pinned_models_stay() -> None:
    for field in ({"busy": True}, {"kept": True}):
        admission = admit(*ram(5, 0, 10), [resident("a", 10, **field)])
        assert (admission.verdict, admission.models) == ("waits", ("a",))
    assert admit(*ram(5, 0, 10), [resident("a", 10, pinned=True)]).verdict == "refuses"


def test_pressure_from_elsewhere_evicts_nothing() -> None:
    admission = admit(*ram(8, 1, 10), [resident("a", 2)])
    assert (admission.verdict, admission.permanent) == ("refuses", False)


def test_more_than_the_cap_can_never_fit() -> None:
    assert admit(*ram(11, 10, 10), []).permanent


RESIDENTS = st.lists(
    st.builds(
        resident,
        st.uuids().map(str),
        st.integers(1, 20),
        busy=st.booleans(),
        kept=st.booleans(),
        pinned=st.booleans(),
        cost=st.floats(0.1, 100),
    ),
    max_size=8,
)


@given(st.integers(0, 60), st.integers(-10, 50), RESIDENTS)
def test_an_eviction_is_the_cheapest_that_suffices(
    need: int, free: int, residents: list[Resident]
) -> None:
    admission = admit(*ram(need, free, 100), residents)
    if admission.verdict != "evicts":
        return
    able = [r for r in residents if r.evictable]
    sets = [c for n in range(1, len(able) + 1) for c in combinations(able, n)]
    costs = [sum(r.cost for r in c) for c in sets if free + sum(r.memory["ram"] for r in c) >= need]
    assert admission.cost == pytest.approx(min(costs))
    chosen = [r for r in residents if r.names[0] in admission.models]
    assert all(r.evictable for r in chosen)
    assert free + sum(r.memory["ram"] for r in chosen) >= need


def test_many_candidates_are_chosen_from_quickly_and_none_needlessly() -> None:
    residents = [resident(str(n), n % 7 + 1, cost=float(n % 5 + 1)) for n in range(200)]
    chosen = victims({"ram": 300}, residents)
    freed = sum(r.memory["ram"] for r in chosen)
    assert freed >= 300
    assert all(freed - r.memory["ram"] < 300 for r in chosen)
