"""Templates and conditions: what they give, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import TemplateSyntaxError
from langchain_core.messages import AIMessage, HumanMessage

from config.errors import Invalid
from graphs.templates.expressions import Expressions
from graphs.templates.plain import MAX_VALUE
from graphs.templates.rendering import Rendering

EXPRESSIONS = Expressions()
VIEW: dict[str, Any] = {
    "text": "hello",
    "number": 3,
    "nothing": None,
    "values": [1, 2, 3],
    "record": {"items": 5, "title": "T"},
    "passages": [
        {"id": "a", "title": "Guide", "heading": ["Start"], "text": "One."},
        {"id": "b", "title": "Guide", "heading": [], "text": "Two."},
    ],
    "messages": [HumanMessage("hi"), AIMessage("hello")],
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("plain", "plain"),
        ("{{ values }}", [1, 2, 3]),
        ("  {{ number }}\n", 3),
        ("{{ number + 1 }}", 4),
        ("{{ values | map('string') }}", ["1", "2", "3"]),
        ("{{ {'a': [number]} }}", {"a": [3]}),
        ("{{ record.items }}", 5),
        ("{{ nothing }}", None),
        ("{{ [text] + values }}", ["hello", 1, 2, 3]),
        ("{{ number * 1000000 * 1000000 }}", 3_000_000_000_000),
        ("{{ 'x' * 3 }}", "xxx"),
        ("n is {{ number }}, {{ nothing }}{{ values }} {{ true }}", "n is 3, [1, 2, 3] true"),
        ("{% for v in values %}{{ loop.index }}{{ ',' if not loop.last }}{% endfor %}", "1,2,3"),
        ("{% set n = number * 2 %}{{ n }}", "6"),
        ("{{ messages[-1].content }}", "hello"),
        ("{{ 'a-b' | replace('-', '+') }} {{ values | join('/') }}", "a+b 1/2/3"),
        ("{{ passages | pick([2]) | map(attribute='id') | list }}", ["b"]),
        ("{{ passages | pick([40, -1, 0, true, 'a', [1], none]) }}", []),
        ("{{ [[{'id': 1}, {'id': 2}], [{'id': 2}]] | fuse | map(attribute='id') }}", [2, 1]),
        ("{{ [values, none, [4]] | flatten }}", [1, 2, 3, 4]),
        ("{{ passages | unique_by('title') | length }}", 1),
        ("{{ 'one two three' | truncate(9) }}", "one two…"),
        ("{{ '# Head\\n\\nFirst one. Second, e.g. this. Third.' | sentences(2) }}",
         "First one. Second, e.g. this."),
        ("{{ messages | recent(1) | length }}", 1),
        ("{{ messages[0] }}", VIEW["messages"][0]),
        ("{{ record | json }}", '{"items": 5, "title": "T"}'),
    ],
)  # fmt: skip
def test_template_value(source: str, value: Any) -> None:
    assert EXPRESSIONS.template(source).value(VIEW) == value


def test_a_condition_needs_no_braces() -> None:
    assert EXPRESSIONS.condition("number > 2 and not nothing").value(VIEW) is True
    assert EXPRESSIONS.condition("{{ number > 5 }}").value(VIEW) is False
    with pytest.raises(ValueError, match="one expression"):
        EXPRESSIONS.condition("{{ number }} {{ text }}")


def test_a_template_knows_the_names_it_uses() -> None:
    template = EXPRESSIONS.template("{% for v in values %}{{ v }}{{ text }}{% endfor %}{{ x.y }}")
    assert template.names == {"values", "text", "x"}


def test_cite_numbers_passages_and_records_them() -> None:
    render = Rendering()
    text = EXPRESSIONS.template("{{ passages | cite }}\n\nQ: {{ text }}").value(VIEW, render)
    assert text == "[1] Guide > Start: One.\n\n[2] Guide: Two.\n\nQ: hello"
    assert render.cited == [
        ("[1] Guide > Start: One.\n\n[2] Guide: Two.", VIEW["passages"]),
    ]


def test_second_cite_continues_the_numbers() -> None:
    text = EXPRESSIONS.template("{{ passages[:1] | cite }} {{ passages[1:] | cite }}")
    assert text.value(VIEW) == "[1] Guide > Start: One. [2] Guide: Two."


HOSTILE = [
    "{{ ''.__class__.__mro__ }}",
    "{{ text['__class__'] }}",
    "{{ values | map(attribute='__class__') | list }}",
    "{{ values | sort(attribute='__class__') }}",
    "{{ messages[0].__init__.__globals__ }}",
    "{{ messages[0].model_dump() }}",
    "{{ messages[0]['model_dump'] }}",
    "{{ _rendering.cited }}",
    "{{ lipsum(1000) }}",
    "{{ cycler }}",
    "{{ namespace() }}",
    "{{ values.append(1) }}",
    "{{ text.format(1) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ text.center(1000000000) }}",
    "{{ text.encode() }}",
    "{{ 'a' * 1000000000 }}",
    "{{ 1000000000 * 'a' }}",
    "{{ [0] * 1000000000 }}",
    "{{ 9 ** 99999999 }}",
    "{{ 10 ** 60 ** 60 ** 60 ** 60 }}",
    "{{ 2 ** 64 }}",
    "{{ range(1000000000) | list }}",
    "{{ values | join('a' * 2000000) }}",
    "{{ text | replace('', 'a' * 2000000) }}",
    "{{ [[0] * 1000000] * 1000000 }}",
    "{{ [[0] * 1000000] * 1000000 | json }}",
    "{% set x = 'aaaaaaaaaaaaaaaa' %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}",
    "{% set x = 'aaaaaaaaaaaaaaaa' %}" + "{% set x = x + x %}" * 40 + "{{ x }}",
    "{% set x = [1, 1] %}" + "{% set x = x + x %}" * 40 + "{{ x }}",
    "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "{% for a in range(19999) %}{{ 'a' * 2000 }}{% endfor %}",
    "{{ missing }}",
    "{{ record.missing }}",
    "{{ values[9] }}",
    "{{ 1 / 0 }}",
    "{{ self }}",
    "{{ caller() }}",
]


@pytest.mark.parametrize("source", HOSTILE)
def test_a_hostile_template_fails_at_once_and_reaches_nothing(source: str) -> None:
    with pytest.raises(Invalid) as caught:
        EXPRESSIONS.template(source).value(VIEW)
    assert caught.value.code == "expression_failed"


@pytest.mark.parametrize(
    "source",
    [
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% macro f() %}{% endmacro %}",
        "{% call f() %}{% endcall %}",
        "{% filter upper %}x{% endfilter %}",
        "{% block a %}{% endblock %}",
        "{% if true %}{% include 'x' %}{% endif %}",
        "{% for x in values recursive %}{% endfor %}",
        "{% set x %}y{% endset %}",
        "{{ text | attr('__class__') }}",
        "{{ text | format(1) }}",
        "{{ text | center(9) }}",
        "{{ values | random }}",
        "{{ text",
        "{% if %}",
        "{{ 1 +* 2 }}",
    ],
)
def test_statement_that_is_not_allowed_is_refused_when_compiled(source: str) -> None:
    with pytest.raises(TemplateSyntaxError):
        EXPRESSIONS.template(source)


def test_a_template_is_bounded_in_length() -> None:
    with pytest.raises(ValueError, match="at most"):
        EXPRESSIONS.template("{{ text }}" * 10_000)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["{{", "}}", "{%", "%}", "text", "values", "for x in", "endfor", "*", "~", "+", "9999",
             "(", ")", "[", "]", "|", "map", "join", "'a'", ".", "__class__", "if", "set x =", " "]
        ),
        max_size=14,
    )
)  # fmt: skip
def test_any_text_is_a_template_or_a_clear_error(parts: list[str]) -> None:
    source = " ".join(parts)
    try:
        value = EXPRESSIONS.template(source).value(VIEW)
    except (TemplateSyntaxError, ValueError, Invalid):
        return
    assert len(str(value)) <= 12 * MAX_VALUE
