"""The cache of nodes' results: bounded by bytes, with a share for each tenant."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage
from langgraph.cache.base import FullKey

from graphs.node_cache import NodeCache


def key(number: int, tenant: str = "one") -> FullKey:
    return ("motet", tenant, "node"), str(number)


def fill(cache: NodeCache, numbers: range, chars: int, tenant: str = "one") -> None:
    for number in numbers:
        cache.set({key(number, tenant): ("x" * chars, None)})


def held(cache: NodeCache, numbers: range, tenant: str = "one") -> list[int]:
    return [number for number in numbers if cache.get([key(number, tenant)])]


def test_large_results_leave_room_by_their_bytes() -> None:
    cache = NodeCache(max_bytes=8_000)

    fill(cache, range(10), 3000)

    assert held(cache, range(10)) == [8, 9]


def test_the_result_used_last_stays() -> None:
    cache = NodeCache(max_bytes=11_000)
    fill(cache, range(2), 3000)
    cache.get([key(0)])

    fill(cache, range(2, 4), 3000)

    assert cache.get([key(0)])
    assert not cache.get([key(1)])


def test_a_result_larger_than_the_bound_is_not_held() -> None:
    cache = NodeCache(max_bytes=10_000)

    fill(cache, range(1), 20_000)

    assert held(cache, range(1)) == []


def test_a_tenant_that_floods_the_cache_drives_out_its_own_results() -> None:
    cache = NodeCache(max_bytes=20_000)
    fill(cache, range(3), 1000, "quiet")

    fill(cache, range(100), 3000, "loud")

    assert held(cache, range(3), "quiet") == [0, 1, 2]
    assert 0 < len(held(cache, range(100), "loud")) < 6


def test_a_replaced_result_is_counted_once() -> None:
    cache = NodeCache(max_bytes=10_000)
    fill(cache, range(1), 3000)

    for _ in range(10):
        fill(cache, range(1, 2), 3000)

    assert held(cache, range(2)) == [0, 1]


def test_an_expired_result_is_gone() -> None:
    cache = NodeCache()
    cache.set({key(0): ("x", -1)})

    assert cache.get([key(0)]) == {}


def test_what_a_reader_changes_is_not_changed_in_the_cache() -> None:
    cache = NodeCache()
    parts: dict[str, Any] = {"message": AIMessage("hi", id="1"), "items": [1]}
    cache.set({key(0): (parts, None)})

    cache.get([key(0)])[key(0)]["items"].append(2)

    assert cache.get([key(0)])[key(0)] == parts


def test_a_result_without_a_stored_form_is_not_held() -> None:
    cache = NodeCache()

    cache.set({key(0): (object(), None)})

    assert cache.get([key(0)]) == {}


def test_one_namespace_is_cleared() -> None:
    cache = NodeCache()
    fill(cache, range(1), 1, "one")
    fill(cache, range(1), 1, "two")

    cache.clear([("motet", "one", "node")])

    assert (held(cache, range(1), "one"), held(cache, range(1), "two")) == ([], [0])
