"""Order, branches, joins and loops, as runs show them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from config.errors import Invalid
from graphs.compile.flow import choose_exit
from graphs.templates.rendering import Rendering
from tests.support.graph_runs import agent_of_yaml, run
from tests.support.graphs import context

HEAD = """\
input: {n: {type: integer, default: 0}}
state: {log: {type: list, reduce: append}, round: {type: integer, reduce: add, default: 0}}
output: [log, round]
"""


def graph(edges: str, nodes: str = "abcdef", **values: str) -> Any:
    """An agent whose nodes append their names to `log`."""
    listed = "\n".join(
        f"  {name}: {{type: set, values: {{log: {name}{values.get(name, '')}}}}}" for name in nodes
    )
    return agent_of_yaml(f"{HEAD}nodes:\n{listed}\n" + (f"edges:\n{edges}" if edges else ""))


async def log_of(agent: Any, n: int = 0) -> str:
    transcript = await run(agent, {"n": n}, context())
    return "".join(transcript.output["log"])


async def test_without_edges_nodes_run_in_order() -> None:
    assert await log_of(graph("")) == "abcdef"


async def test_a_branch_takes_the_first_condition_that_holds() -> None:
    agent = graph(
        "  a:\n    - {when: n > 5, to: b}\n    - {when: n > 2, to: c}\n    - else: [d, e]\n",
        "abcde",
    )
    assert [await log_of(agent, n) for n in (9, 4, 0)] == ["ab", "ac", "ade"]


async def test_a_node_runs_once_after_all_parallel_branches_of_any_length() -> None:
    agent = graph("  a: [b, c]\n  b: d\n  d: e\n  e: f\n  c: f\n")
    assert await log_of(agent) == "abcdef"


async def test_a_join_does_not_wait_for_a_branch_that_ends_early() -> None:
    agent = graph(
        "  a: [b, c]\n  b:\n    - {when: n > 0, to: d}\n    - else: end\n  c: d\n", "abcd"
    )
    assert await log_of(agent, 0) == "abcd"
    assert await log_of(agent, 1) == "abcd"


async def test_a_join_is_passed_over_when_no_branch_leads_to_it() -> None:
    agent = graph(
        "  a: [b, c]\n"
        "  b:\n    - {when: n > 0, to: d}\n    - else: end\n"
        "  c:\n    - {when: n > 0, to: d}\n    - else: end\n",
        "abcd",
    )
    assert await log_of(agent, 0) == "abc"
    assert await log_of(agent, 1) == "abcd"


async def test_a_join_waits_for_a_loop_within_one_branch() -> None:
    agent = graph(
        "  a: [b, c]\n  b: e\n  c:\n    - {to: d, max_loops: 3}\n    - else: e\n  d: c\n".replace(
            "  d: c\n", "  d:\n    - {to: c, max_loops: 3}\n    - else: e\n"
        ),
        "abcde",
    )
    assert await log_of(agent) == "abcdcdcdce"


async def test_join_before_another_join_runs_once() -> None:
    agent = graph("  a: [b, f]\n  b: [c, d]\n  c: e\n  d: e\n  e: g\n  f: g\n", "abcdefg")
    assert await log_of(agent) == "abfcdeg"


async def test_a_loop_around_a_join_runs_the_join_each_time() -> None:
    agent = graph(
        "  a: [b, c]\n  b: d\n  c: d\n  d:\n    - {to: a, max_loops: 2}\n    - else: end\n", "abcd"
    )
    assert await log_of(agent) == "abcd" * 3


async def test_parallel_starts_are_joined() -> None:
    assert await log_of(graph("  start: [a, b]\n  a: c\n  b: c\n", "abc")) == "abc"


async def test_a_bounded_loop_ends_by_its_bound_and_by_its_condition() -> None:
    edges = "  a: b\n  b:\n    - {when: (log | length) < n, to: a, max_loops: 3}\n    - else: c\n"
    agent = graph(edges, "abc")
    assert await log_of(agent, 0) == "abc"
    assert await log_of(agent, 3) == "ababc"
    assert await log_of(agent, 99) == "ababababc"


async def test_loops_count_anew_in_each_run_of_a_thread() -> None:
    agent = graph("  a:\n    - {to: a, max_loops: 2}\n    - else: end\n", "a")
    compiled = agent.compile(InMemorySaver())
    for _ in range(3):
        transcript = await run(agent, {}, context(), graph=compiled)
        assert transcript.output["log"] == ["a", "a", "a"]


async def test_a_join_counts_anew_after_a_run_that_broke_off() -> None:
    nodes = """
  fork: {type: set, values: {log: f}}
  left: {type: set, values: {log: l}}
  right: {type: set, values: {log: "{{ 1 / n }}"}}
  join: {type: set, values: {log: j}}
"""
    edges = "edges:\n  fork: [left, right]\n  left: join\n  right: join\n"
    agent = agent_of_yaml(f"{HEAD}nodes:{nodes}{edges}")
    compiled = agent.compile(InMemorySaver())
    with pytest.raises(Invalid, match="division by zero"):
        await run(agent, {"n": 0}, context(), graph=compiled)
    transcript = await run(agent, {"n": 1}, context(), graph=compiled)
    assert transcript.output["log"] == ["f", "l", 1.0, "j"]


async def test_a_state_edited_at_a_join_goes_on_from_there() -> None:
    agent = graph("  a: [b, c]\n  b: d\n  c: d\n  d: e\n", "abcde")
    compiled = agent.compile(InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    await run(agent, {}, context(), graph=compiled)
    await compiled.aupdate_state(config, {"log": "edited"}, as_node="d")
    state = await compiled.aget_state(config)
    assert state.next == ("e",)
    transcript = await compiled.ainvoke(None, config, context=context())
    assert transcript["log"][-2:] == ["edited", "e"]


async def test_after_an_interrupted_fork_the_join_still_waits() -> None:
    nodes = """
  fork: {type: set, values: {log: f}}
  asked: {type: human, message: "Go on?", save: word}
  other: {type: set, values: {log: o}}
  more: {type: set, values: {log: m}}
  join: {type: set, values: {log: "{{ word }}"}}
"""
    edges = "edges:\n  fork: [asked, other]\n  other: more\n  more: join\n  asked: join\n"
    agent = agent_of_yaml(f"{HEAD}nodes:{nodes}{edges}")
    compiled = agent.compile(InMemorySaver())
    first = await run(agent, {}, context(), graph=compiled)
    assert len(first.interrupts) == 1
    transcript = await run(agent, context=context(), graph=compiled, given=Command(resume="yes"))
    assert transcript.output["log"] == ["f", "o", "m", "yes"]


def _random_graph(seed: int) -> Any:
    """An acyclic graph with forks and branches; its condition picks by `n`."""
    dice = random.Random(seed)
    names = "abcdefgh"
    lines = []
    for i, name in enumerate(names[:-1]):
        later = names[i + 1 :]
        many = sorted(dice.sample(later, min(len(later), dice.choice([1, 1, 2, 3]))))
        must = names[i + 1]
        targets = sorted({must, *many})
        if dice.random() < 0.4:
            other = dice.choice([*later, "end"])
            lines.append(
                f"  {name}:\n    - {{when: n % {dice.choice([2, 3])} == 0, "
                f"to: [{', '.join(targets)}]}}\n    - else: {other}"
            )
        else:
            lines.append(f"  {name}: [{', '.join(targets)}]")
    return graph("\n".join(lines) + "\n", names)


@pytest.mark.parametrize("seed", range(40))
async def test_in_any_acyclic_graph_each_reached_node_runs_once_after_its_predecessors(
    seed: int,
) -> None:
    agent = _random_graph(seed)
    for n in (0, 1, 2, 3):
        follows = _taken(agent, n)
        reached, open_ = {"a"}, ["a"]
        while open_:
            for target in follows[open_.pop()] - reached:
                reached.add(target)
                open_.append(target)
        seen = await log_of(agent, n)
        assert sorted(seen) == sorted(reached)
        for place, later in enumerate(seen):
            assert follows[later].isdisjoint(seen[:place]), (seen, later)


def _taken(agent: Any, n: int) -> dict[str, set[str]]:
    """What follows each node for this input."""
    exits = agent.graph.flow.exits
    taken = {name: choose_exit(found, {"n": n}, {}, Rendering()) for name, found in exits.items()}
    return {name: set(exit_.targets) - {"end"} for name, exit_ in taken.items() if exit_}


async def test_a_dense_graph_has_a_join_at_every_node_behind_the_second() -> None:
    names = [f"n{number}" for number in range(60)]
    nodes = "\n".join(f"  {name}: {{type: set, values: {{log: '1'}}}}" for name in names)
    edges = "\n".join(f"  {name}: [{', '.join(names[i:])}]" for i, name in enumerate(names[:-1], 1))

    agent = agent_of_yaml(f"{HEAD}nodes:\n{nodes}\nedges:\n{edges}\n")

    joins = agent.graph.flow.joins
    assert set(joins) == set(names[2:])
    assert joins["n59"] == frozenset(names[:59])
    assert joins["n2"] == frozenset(names[:2])


NESTED = (
    "  a: b\n"
    "  b:\n    - {to: b, max_loops: 2}\n    - else: c\n"
    "  c:\n    - {to: a, max_loops: 2}\n    - else: end\n"
)


async def test_a_loop_within_another_is_counted_anew_in_each_round() -> None:
    assert await log_of(graph(NESTED, "abc")) == "abbbc" * 3


async def test_three_loops_within_one_another_are_each_counted_anew() -> None:
    edges = NESTED.replace("else: end", "else: d") + (
        "  d:\n    - {to: a, max_loops: 1}\n    - else: end\n"
    )
    assert await log_of(graph(edges, "abcd")) == ("abbbc" * 3 + "d") * 2


async def test_two_ways_back_of_one_loop_share_no_rounds() -> None:
    edges = (
        "  a: b\n"
        "  b:\n    - {when: n > 0, to: a, max_loops: 2}\n"
        "    - {to: a, max_loops: 1}\n    - else: end\n"
    )
    assert await log_of(graph(edges, "ab"), 1) == "ab" * 4


async def test_a_loop_behind_another_is_not_counted_anew_by_it() -> None:
    edges = (
        "  a:\n    - {to: a, max_loops: 2}\n    - else: b\n"
        "  b:\n    - {to: b, max_loops: 1}\n    - else: end\n"
    )
    assert await log_of(graph(edges, "ab")) == "aaabb"


async def test_a_loop_within_a_branch_of_another_is_counted_anew() -> None:
    edges = (
        "  a: [b, c]\n  c: d\n"
        "  b:\n    - {to: b, max_loops: 1}\n    - else: d\n"
        "  d:\n    - {to: a, max_loops: 1}\n    - else: end\n"
    )
    assert sorted(await log_of(graph(edges, "abcd"))) == sorted("abbcd" * 2)


async def test_crossing_loops_end() -> None:
    """Neither is within the other, so neither begins the other's count anew."""
    edges = (
        "  a: b\n  b:\n    - {to: a, max_loops: 2}\n    - else: c\n"
        "  c:\n    - {to: b, max_loops: 2}\n    - else: end\n"
    )
    assert await log_of(graph(edges, "abc")) == "abababcbcbc"


async def test_a_list_with_a_reducer_is_emptied_and_replaced() -> None:
    agent = agent_of_yaml(
        f"{HEAD}nodes:\n"
        "  a: {type: set, values: {log: one, round: 3}}\n"
        "  b: {type: set, replace: {log: [], round: 1}}\n"
        "  c: {type: set, values: {log: two}}\n"
        "  d: {type: set, replace: {log: '{{ log + [\"three\"] }}'}, values: {round: 1}}\n"
    )
    transcript = await run(agent, {}, context())
    assert transcript.output == {"log": ["two", "three"], "round": 2}


async def test_what_replaces_a_list_must_be_one() -> None:
    agent = agent_of_yaml(f"{HEAD}nodes:\n  b: {{type: set, replace: {{log: text}}}}\n")
    with pytest.raises(Invalid, match="holds list"):
        await run(agent, {}, context())


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("values: {log: a}, replace: {log: [b]}", "stands in `values` too"),
        ("description: none", "is required, or `replace`"),
    ],
)
def test_a_set_node_must_know_what_it_writes(fields: str, problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        agent_of_yaml(f"{HEAD}nodes:\n  b: {{type: set, {fields}}}\n")
