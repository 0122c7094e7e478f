"""What templates cost: each operation in proportion to its values, and never without a bound."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from config.errors import Invalid
from config.steps import TooManySteps, counting
from graphs.templates.costs import FILTER_COSTS
from graphs.templates.expressions import Expressions
from graphs.templates.filters import OWN_FILTERS
from graphs.templates.rendering import Rendering, evaluate
from graphs.templates.sandbox import FILTERS
from graphs.templates.scenes import MAX_PIECES, chapters, spoken
from graphs.templates.work import MAX_STEPS, STEPS_ON_LOOP
from tests.support.graph_runs import agent_of_yaml, run
from tests.support.graphs import context

EXPRESSIONS = Expressions()
SIZE = 400
MOST_GROWTH = 2.6
"""What twice as large a value may cost, of n log n."""


def words(count: int) -> str:
    return "word " * count


def records(count: int) -> list[dict[str, Any]]:
    return [{"id": n, "tags": [n % 7], "text": "Some words. "} for n in range(count)]


def numbers(count: int) -> list[int]:
    return list(range(count, 0, -1))


GROWING: list[tuple[str, Callable[[int], Any]]] = [
    *((f"{{{{ value | {name} }}}}", words) for name in (
        "capitalize", "chapters", "list", "lower", "replace('o', 'a')", "scenes(9)", "sentences(9)",
        "spoken", "string", "title", "trim", "truncate(9)", "upper", "wordcount",
        "standalone([{'question': value}])",
    )),
    *((f"{{{{ value | {name} }}}}", numbers) for name in (
        "sort", "unique | list", "min", "max", "sum", "join(',')", "json", "map('string') | list",
        "select('even') | list", "reject('eq', 3) | list", "reverse | list", "pick([1])", "first",
        "map('abs') | sort | last", "tojson(2)", "flatten",
    )),
    *((f"{{{{ value | {name} }}}}", records) for name in (
        "groupby('id')", "unique_by('id')", "cite", "sort(attribute='text,id')", "json",
        "selectattr('id', 'eq', 3) | list", "map(attribute='tags.0') | list", "recent(3)",
        "map(attribute='tags') | flatten", "map(attribute='id') | join('-')",
    )),
    ("{{ [value, value] | fuse }}", records),
    ("{{ value | json | from_json }}", records),
    ("{{ value == value[:] }}", numbers),
    ("{{ 0 in value }}", numbers),
    ("{{ 'x' in value }}", words),
    ("{{ value ~ value }}", words),
    ("{{ value.split() }}", words),
    ("{% for item in value %}{{ item.id }}{{ item.text }}{% endfor %}", records),
    *(("{{ value | spoken }}", lambda n, mark=mark: mark * n) for mark in (
        "`", "a`", "*a ", "_a ", "**a", "~~a", "[", "[a](", "![a", "![a](b", "[1,", "# ", "- ",
        "\n", "```\n", "~~~ \n", "[a](b(c", "   ", "1.",
    )),
    *(("{{ value | chapters }}", lambda n, mark=mark: mark * n) for mark in (
        "# a\n", "# ", "#\t", "a. A", "\n\n", "\n \n",
    )),
    *(("{{ value | standalone([{'question': 'What is it?'}]) }}", lambda n, mark=mark: mark * n)
      for mark in ("the same ", "a that ", "it ")),
]  # fmt: skip


def steps_of(source: str, value: Any) -> int:
    template = EXPRESSIONS.template(source)
    with counting(MAX_STEPS) as steps:
        template.value({"value": value})
    return MAX_STEPS - steps.left


@pytest.mark.parametrize(("source", "make"), GROWING)
def test_cost_of_twice_the_value_is_about_twice(source: str, make: Callable[[int], Any]) -> None:
    once, twice = steps_of(source, make(SIZE)), steps_of(source, make(2 * SIZE))

    assert twice <= MOST_GROWTH * once


@pytest.mark.parametrize("name", [*FILTERS, *OWN_FILTERS])
def test_each_filter_has_a_cost(name: str) -> None:
    assert name in FILTER_COSTS


DOUBLED = "{% set a = [1] %}{% set b = [1] %}" + "{% set a = [a, a] %}{% set b = [b, b] %}" * 40
TOO_MUCH = [
    DOUBLED + "{{ a == b }}",
    DOUBLED + "{{ a in [b] }}",
    DOUBLED + "{{ [b].index(a) }}",
    DOUBLED + "{{ [b].count(a) }}",
    DOUBLED + "{{ a is eq(b) }}",
    DOUBLED + "{{ a | string }}",
    DOUBLED + "{{ a is lower }}",
    DOUBLED + "{{ [a, b] | sort }}",
    DOUBLED + "{{ [a, b] | max }}",
    DOUBLED + "{{ [{'k': a}, {'k': b}] | groupby('k') }}",
    "{% set t = (1, 1) %}" + "{% set t = ({t: t}.items() | list)[0] %}" * 40 + "{{ {t: 1} }}",
    "{% set t = (1, 1) %}" + "{% set t = ({t: t}.items() | list)[0] %}" * 40 + "{{ {}[t] }}",
    "{% set t = (1, 1) %}" + "{% set t = ({t: t}.items() | list)[0] %}" * 40 + "{{ {}.get(t) }}",
    "{% for i in range(20000) %}" + "{{ i }}" * 4000 + "{% endfor %}",
    "{% for i in range(20000) %}{{ (long[1:]) | length }}{% endfor %}",
    "{% for i in range(20000) %}{{ 'yes' if long == other }}{% endfor %}",
    "{% for i in range(20000) %}{{ 'yes' if 'b' in long }}{% endfor %}",
    "{% for i in range(20000) %}{{ long | upper | length }}{% endfor %}",
    "{% for i in range(20000) %}{{ long.count('ab') }}{% endfor %}",
    "{{ long.rfind('b' + long[:200000]) }}",
    "{{ long.rsplit('b' + long[:200000]) }}",
    "{{ long.strip('b' * 200000 + 'a') }}",
    "{{ long | list | sort }}",
    "{{ range(100000) | map('string') | sort }}",
    "{{ range(100000) | map(attribute='real.real') | list }}",
    "{{ ['0'] * 100000 | map(attribute='0" + ".0" * 500 + "') | list }}",
    "{{ range(100000) | map('list') | list }}",
    "{{ [[1]] * 100000 | sum(start=[]) }}",
    "{{ 5 | round(-100000000) }}",
    "{{ 5.5 | round(100000000, 'ceil') }}",
    "{% set x = 2 ** 500 %}" + "{% set x = x * x %}" * 40 + "{{ x > 1 }}",
    "{{ ('f' * 100000) | int(0, 16) * 2 }}{{ [[]] * 99999999 }}",
    "{% set a = [1] %}" + "{% set a = [a] %}" * 500 + "{{ a * 20000 | json(8) }}",
]


@pytest.mark.parametrize("source", TOO_MUCH)
def test_template_that_asks_for_too_much_fails_within_its_steps(source: str) -> None:
    view = {"long": "a" * 400_000, "other": "a" * 399_999 + "b"}

    with counting(MAX_STEPS // 10), pytest.raises(Invalid) as caught:
        EXPRESSIONS.template(source).value(view)

    assert caught.value.code == "expression_failed"


def test_longest_text_is_spoken_and_cut_into_chapters_within_the_steps() -> None:
    text = ("The fox ran off, and nobody saw it again. " * 60_000)[: 2**21 - 1000]
    view = {"text": text}

    assert len(EXPRESSIONS.template("{{ text | spoken }}").value(view)) > 2**20
    assert EXPRESSIONS.template("{{ text | chapters | length }}").value(view) == MAX_PIECES


@pytest.mark.parametrize("mark", ["`", "a`", "*a ", "[", "![a", "[a](", "```\n", "# " + " " * 9])
def test_scanners_of_hostile_texts_never_go_back(mark: str) -> None:
    """One that went back over its text would take hours here."""
    text = (mark * (2**18))[: 2**18]

    assert len(spoken(text)) <= len(text)
    assert len(chapters(text)) <= MAX_PIECES + 1


async def test_short_template_is_evaluated_on_the_loop() -> None:
    threads = []

    await evaluate(lambda _: threads.append(threading.current_thread()))

    assert threads == [threading.main_thread()]


async def test_long_template_is_begun_anew_in_a_thread_and_cites_once() -> None:
    template = EXPRESSIONS.template(
        "{{ passages | cite }}{% for n in range(9000) %}{{ n }}{% endfor %}"
    )
    rendering, threads = Rendering(), []

    def work(rendering: Rendering) -> str:
        threads.append(threading.current_thread())
        return template.text({"passages": [{"title": "A", "text": "One."}]}, rendering)

    text = await evaluate(work, rendering)

    assert text.startswith("[1] A: One.0123")
    assert len(rendering.cited) == 1
    assert rendering.turns == 9000
    assert [each is threading.main_thread() for each in threads] == [True, False]


def test_evaluation_on_the_loop_gives_up_before_it_is_long() -> None:
    template = EXPRESSIONS.template("{{ value | spoken }}")

    with counting(STEPS_ON_LOOP, is_final=False), pytest.raises(TooManySteps):
        template.value({"value": "*a " * 100_000})


@pytest.mark.parametrize(
    ("node", "field"),
    [
        ("{type: set, values: {answer: '{{ long | list | sort }}'}}", "answer"),
        ("{type: set, when: '{{ long | list | sort }}', values: {answer: 1}}", "when"),
        ("{type: human, message: '{{ long | list | sort }}'}", "message"),
    ],
)
async def test_error_of_too_much_work_names_node_and_field(node: str, field: str) -> None:
    agent = agent_of_yaml(f"input: {{long: string}}\nnodes: {{first: {node}}}\noutput: [long]")

    with pytest.raises(Invalid, match="too much work") as caught:
        await run(agent, {"long": "b" * 400_000}, context())

    assert caught.value.code == "expression_failed"
    assert caught.value.details["node"] == "first"
    assert caught.value.details["field"].endswith(field)
