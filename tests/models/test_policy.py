"""Whom to unload, and when not to."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from models.policy import Resident, admit, victims


def resident(name: str, memory_bytes: int, **fields: Any) -> Resident:
    usual = {
        "leased": False,
        "pinned": False,
        "priority": 0,
        "load_s": 2.0,
        "resident_s": 100.0,
        "idle_s": 60.0,
    }
    return Resident(name, {"ram": memory_bytes}, **{**usual, **fields})


def ram(*amounts: int) -> list[dict[str, int]]:
    return [{"ram": amount} for amount in amounts]


def test_what_fits_is_let_in_and_evicts_nothing() -> None:
    assert admit(*ram(5, 5, 10), [resident("a", 5)]).verdict == "fits"


def test_the_cheapest_sufficient_set_goes() -> None:
    residents = [resident("slow", 6, load_s=60), resident("a", 3), resident("b", 4)]
    assert set(admit(*ram(6, 0, 20), residents).models) == {"a", "b"}
    assert admit(*ram(4, 0, 20), residents).models == ("b",)


def test_priority_and_recent_use_protect() -> None:
    assert victims({"ram": 5}, [resident("kept", 5, priority=3), resident("gone", 5)]) == ("gone",)
    assert victims(
        {"ram": 5}, [resident("used", 5, idle_s=1), resident("idle", 5, idle_s=9e3)]
    ) == ("idle",)


def test_leased_pinned_and_just_loaded_models_stay() -> None:
    for field in ({"leased": True}, {"resident_s": 1.0}):
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
        leased=st.booleans(),
        pinned=st.booleans(),
        priority=st.integers(-2, 3),
        load_s=st.floats(0, 100),
        resident_s=st.floats(0, 20),
        idle_s=st.floats(0, 2000),
    ),
    max_size=8,
)


@given(st.integers(0, 60), st.integers(-10, 50), RESIDENTS)
def test_an_eviction_suffices_without_a_needless_victim(
    need: int, free: int, residents: list[Resident]
) -> None:
    admission = admit(*ram(need, free, 100), residents)
    if admission.verdict != "evicts":
        return
    chosen = [r for r in residents if r.name in admission.models]
    assert all(r.evictable and r.settled for r in chosen)
    freed = sum(r.memory["ram"] for r in chosen)
    assert free + freed >= need
    assert all(free + freed - r.memory["ram"] < need for r in chosen)
