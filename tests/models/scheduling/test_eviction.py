"""Whom to unload, and when not to."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.scheduling.eviction import (
    EvictIdle,
    EvictionDecision,
    Fits,
    NoRoom,
    Resident,
    WaitForBusy,
    cheapest_set,
    choose_victims,
)


def resident(name: str, memory_bytes: int, **fields: Any) -> Resident:
    usual = {"busy": False, "protected": False, "pinned": False, "cost": 2.0}
    return Resident((name,), {"ram": memory_bytes}, **{**usual, **fields})


def ram(*amounts: int) -> list[dict[str, int]]:
    return [{"ram": amount} for amount in amounts]


def names_of(decision: EvictionDecision) -> tuple[str, ...]:
    match decision:
        case EvictIdle(victims=names) | WaitForBusy(blockers=names):
            return names
    return ()


def test_model_that_fits_evicts_nothing() -> None:
    assert choose_victims(*ram(5, 5, 10), [resident("a", 5)]) == Fits()


def test_cheapest_sufficient_set_is_evicted() -> None:
    residents = [resident("slow", 6, cost=60.0), resident("a", 3), resident("b", 4)]

    assert set(names_of(choose_victims(*ram(6, 0, 20), residents))) == {"a", "b"}
    assert names_of(choose_victims(*ram(4, 0, 20), residents)) == ("b",)


def test_one_sufficient_victim_is_evicted_alone_when_cheaper_than_several() -> None:
    residents = [resident("a", 3, cost=1.0), resident("b", 3, cost=1.0), resident("c", 6, cost=1.5)]

    assert names_of(choose_victims(*ram(6, 0, 20), residents)) == ("c",)


def test_one_set_frees_several_devices_at_once() -> None:
    def on(name: str, memory: dict[str, int], cost: float) -> Resident:
        return Resident((name,), memory, pinned=False, busy=False, protected=False, cost=cost)

    residents = [
        on("gpu", {"cuda:0": 8}, 1.0),
        on("ram", {"ram": 8}, 1.0),
        on("both", {"cuda:0": 8, "ram": 8}, 1.9),
    ]
    need = {"cuda:0": 8, "ram": 8}

    both_lack = choose_victims(need, {"cuda:0": 0, "ram": 0}, need, residents)
    ram_lacks = choose_victims(need, {"cuda:0": 8, "ram": 0}, need, residents)

    assert names_of(both_lack) == ("both",)
    assert names_of(ram_lacks) == ("ram",)


def test_models_that_share_their_memory_are_evicted_together() -> None:
    shared = Resident(("a", "b"), {"ram": 5}, pinned=False, busy=False, protected=False, cost=1.0)

    assert names_of(choose_victims(*ram(5, 0, 10), [shared])) == ("a", "b")


@pytest.mark.parametrize("field", ["busy", "protected"])
def test_busy_and_protected_models_are_waited_for(field: str) -> None:
    decision = choose_victims(*ram(5, 0, 10), [resident("a", 10, **{field: True})])

    assert isinstance(decision, WaitForBusy)
    assert decision.blockers == ("a",)


def test_pinned_model_leaves_no_room() -> None:
    decision = choose_victims(*ram(5, 0, 10), [resident("a", 10, pinned=True)])

    assert decision == NoRoom(permanent=False)


def test_memory_taken_by_others_evicts_nothing() -> None:
    assert choose_victims(*ram(8, 1, 10), [resident("a", 2)]) == NoRoom(permanent=False)


def test_more_than_the_cap_never_fits() -> None:
    assert choose_victims(*ram(11, 10, 10), []) == NoRoom(permanent=True)


RESIDENTS = st.lists(
    st.builds(
        resident,
        st.uuids().map(str),
        st.integers(1, 20),
        busy=st.booleans(),
        protected=st.booleans(),
        pinned=st.booleans(),
        cost=st.floats(0.1, 100),
    ),
    max_size=8,
)


@given(st.integers(0, 60), st.integers(-10, 50), RESIDENTS)
def test_eviction_is_the_cheapest_that_suffices(
    need: int, free: int, residents: list[Resident]
) -> None:
    decision = choose_victims(*ram(need, free, 100), residents)
    if not isinstance(decision, EvictIdle):
        return
    able = [r for r in residents if r.is_evictable]
    sets = [c for n in range(1, len(able) + 1) for c in combinations(able, n)]
    costs = [sum(r.cost for r in c) for c in sets if free + sum(r.memory["ram"] for r in c) >= need]
    assert decision.cost == pytest.approx(min(costs))
    chosen = [r for r in residents if r.names[0] in decision.victims]
    assert all(r.is_evictable for r in chosen)
    assert free + sum(r.memory["ram"] for r in chosen) >= need


def test_greedy_choice_among_many_candidates_takes_none_needlessly() -> None:
    residents = [resident(str(n), n % 7 + 1, cost=float(n % 5 + 1)) for n in range(200)]
    chosen = cheapest_set({"ram": 300}, residents)
    freed = sum(r.memory["ram"] for r in chosen)
    assert freed >= 300
    assert all(freed - r.memory["ram"] < 300 for r in chosen)
