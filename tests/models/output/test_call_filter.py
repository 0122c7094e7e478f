"""Calls of tools in texts, in the forms that models write, however the text was cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.output.call_filter import CallFilter
from models.output.call_parsing import ParsedToolCall, UnreadableCall, tools_of
from tests.models.output.cutting import cuts

TOOLS = {"weather": frozenset({"city", "days"}), "calculate": frozenset({"expression"})}
PARIS = ParsedToolCall("weather", {"city": "Paris"})
SUM = ParsedToolCall("calculate", {"expression": "6 * 7"})
CALL = json.dumps({"name": "weather", "arguments": {"city": "Paris"}})
SECOND = json.dumps({"name": "calculate", "arguments": {"expression": "6 * 7"}})


def read(pieces: list[str], *, cut: bool = False) -> tuple[str, list[ParsedToolCall]]:
    text, filter_ = take(pieces, cut=cut)
    assert filter_.unreadable == []
    return text, filter_.calls


def take(pieces: list[str], *, cut: bool = False) -> tuple[str, CallFilter]:
    filter_ = CallFilter(TOOLS)
    text = "".join(filter_.feed(piece) for piece in pieces)
    return text + filter_.end(cut=cut), filter_


FORMS: dict[str, str] = {
    "bare": CALL,
    "list": f"[{CALL}]",
    "fenced": f"```json\n{CALL}\n```",
    "fenced without a language": f"```\n{CALL}\n```",
    "fenced in one line": f"```json {CALL} ```",
    "fenced without an end": f"```json\n{CALL}",
    "doubled braces": '{{"name": "weather", "arguments": {{"city": "Paris"}}}}',
    "doubled outer braces": '{{"name": "weather", "arguments": {"city": "Paris"}}}',
    "over several lines": json.dumps(json.loads(CALL), indent=2),
    "the last brace lacks": CALL[:-1],
    "a brace too many": CALL + "}",
    "single quotes": str(json.loads(CALL)),
    "a trailing comma": '{"name": "weather", "arguments": {"city": "Paris",},}',
    "parameters": '{"name": "weather", "parameters": {"city": "Paris"}}',
    "arguments as text": '{"name": "weather", "arguments": "{\\"city\\": \\"Paris\\"}"}',
    "function": '{"function": {"name": "weather", "arguments": {"city": "Paris"}}}',
    "type first": '{"type": "function", "function": ' + CALL + "}",
    "tool_calls": '{"tool_calls": [{"id": "1", "type": "function", "function": ' + CALL + "}]}",
    "tool_call": f'{{"tool_call": {CALL}}}',
    "tool and args": '{"tool": "weather", "args": {"city": "Paris"}}',
    "action": '{"action": "weather", "action_input": {"city": "Paris"}}',
    "flat": '{"name": "weather", "city": "Paris"}',
    "the tool as key": '{"weather": {"city": "Paris"}}',
    "a name with a prefix": '{"name": "functions.weather", "arguments": {"city": "Paris"}}',
    "arguments alone behind a mark": '<tool_call>{"city": "Paris"}</tool_call>',
    "hermes, qwen": f"<tool_call>\n{CALL}\n</tool_call>",
    "hermes without an end": f"<tool_call>\n{CALL}",
    "hermes with doubled braces": "<tool_call>{" + CALL + "}</tool_call>",
    "hermes fenced": f"```\n<tool_call>\n{CALL}\n</tool_call>\n```",
    "the mark before was dropped": f"{CALL}\n</tool_call>",
    "tools": f"<tools>\n{CALL}\n</tools>",
    "function_call": f"<function_call>{CALL}</function_call>",
    "granite": f"<|tool_call|>[{CALL}]",
    "phi 4": f"<|tool_call|>[{CALL}]<|/tool_call|>",
    "llama 3": f"<|python_tag|>{CALL}<|eom_id|>",
    "llama 3.1": '<function=weather>{"city": "Paris"}</function>',
    "llama 4": '[weather(city="Paris")]',
    "gemma 3": '```tool_code\nprint(weather(city="Paris"))\n```',
    "python": 'weather(city="Paris")',
    "qwen's template, echoed": "<function-name>weather</function-name>\n<arguments>\n"
    '{\n  "city": "Paris"\n}\n</arguments>',
    "mistral": f"[TOOL_CALLS] [{CALL}]",
    "mistral, later": '[TOOL_CALLS]weather[ARGS]{"city": "Paris"}',
    "cohere": '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "weather", "parameters": '
    '{"city": "Paris"}}]<|END_ACTION|>',
    "qwen 3 coder": "<tool_call>\n<function=weather>\n<parameter=city>\nParis\n</parameter>\n"
    "</function>\n</tool_call>",
    "glm": "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n"
    "</tool_call>",
    "deepseek": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n"
    '```json\n{"city": "Paris"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    "kimi": "<|tool_calls_section_begin|><|tool_call_begin|>functions.weather:0"
    '<|tool_call_argument_begin|>{"city": "Paris"}<|tool_call_end|><|tool_calls_section_end|>',
}


@pytest.mark.parametrize("form", FORMS)
def test_a_call_is_read_in_each_form(form: str) -> None:
    for pieces in cuts(FORMS[form]):
        assert read(pieces) == ("", [PARIS]), pieces


@pytest.mark.parametrize(
    "form", sorted(set(FORMS) - {"hermes without an end", "the last brace lacks"})
)
def test_words_before_a_call_are_text(form: str) -> None:
    for pieces in cuts(f"I will look.\n{FORMS[form]}"):
        assert read(pieces) == ("I will look.\n", [PARIS]), pieces


@pytest.mark.parametrize(
    "written",
    [
        f"{CALL}\n{SECOND}",
        f"{CALL}, {SECOND}",
        f"{CALL}; {SECOND}",
        f"[{CALL}, {SECOND}]",
        f"```json\n{CALL}\n{SECOND}\n```",
        f"<tool_call>{CALL}</tool_call>\n<tool_call>{SECOND}</tool_call>",
        f"<tool_call>{CALL}\n<tool_call>{SECOND}",
        f"<tool_call>\n{CALL}\n{SECOND}\n</tool_call>",
        f"[TOOL_CALLS] [{CALL}, {SECOND}]",
        '[weather(city="Paris"), calculate(expression="6 * 7")]',
        '{"weather": {"city": "Paris"}}\n{"calculate": {"expression": "6 * 7"}}',
    ],
)
def test_several_calls_are_read_in_their_order(written: str) -> None:
    for pieces in cuts(written):
        assert read(pieces) == ("", [PARIS, SUM]), pieces


def test_a_fence_behind_words_of_its_line_holds_a_call_too() -> None:
    for pieces in cuts(f"I look: ```json\n{CALL}\n```"):
        assert read(pieces) == ("I look: ", [PARIS]), pieces


def test_words_around_and_between_calls_are_text() -> None:
    written = f"First: {CALL}\nThen: {SECOND}\n\nI wait."

    for pieces in cuts(written):
        assert read(pieces) == ("First: Then: I wait.", [PARIS, SUM]), pieces


@pytest.mark.parametrize(
    "written",
    [
        "a < b and {x} or [1], [2, 3].",
        "[a link](https://example.org)",
        "{not json",
        "[1, 2, 3]",
        '{"name": 3}',
        '{"name": "Anna", "age": 3}',
        '[{"name": "Anna", "parameters": {"age": 3}}]',
        '{"city": "Paris"}',
        "<tool_call>?",
        "Call weather(city) to know.",
        "weather(city) is a function.",
        "weather",
        "the weather: {",
        "```python\nprint({'name': 'weather'})\n```\nThat is it.",
        '```json\n{"answer": 42}\n```',
        "``",
        "",
    ],
)
def test_what_is_no_call_is_text(written: str) -> None:
    for pieces in cuts(written):
        assert read(pieces) == (written, []), pieces


def test_a_call_of_a_tool_that_is_not_there_counts_only_where_it_is_certain() -> None:
    unknown = ParsedToolCall("search", {"query": "x"})
    call = '{"name": "search", "arguments": {"query": "x"}}'

    assert read([call]) == ("", [unknown])
    assert read([f"<tool_call>{call}</tool_call>"]) == ("", [unknown])
    assert read(['{"name": "search", "query": "x"}'])[1] == []
    assert read(['search(query="x")'])[1] == []


@pytest.mark.parametrize(
    "written",
    [
        '{"name": "weather", "arguments": {"city": "Par',
        '<tool_call>{"name": "weather", "arguments": {"city": "Paris"',
    ],
)
def test_a_call_that_was_cut_is_no_call_and_no_text(written: str) -> None:
    for pieces in cuts(written):
        text, filter_ = take(pieces, cut=True)
        assert (text, filter_.calls) == ("", [])
        assert [each.name for each in filter_.unreadable] == ["weather"]


def test_a_call_with_broken_arguments_is_unreadable() -> None:
    written = '{"name": "weather", "arguments": {"city": "the "old" town"}}'

    text, filter_ = take([written])

    assert (text, filter_.calls) == ("", [])
    assert filter_.unreadable == [UnreadableCall("weather", written)]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("The weather is fine.", "The weather is fine."),
        ("See [1] and {x} and", "See [1] and {x} and"),
        ('{"answer": 1, "b"', '{"answer": 1, "b"'),
        ("```python\nprint(1", "```python\nprint(1"),
        ("We have 3 items: [", "We have 3 items: "),
    ],
)
def test_text_is_shown_as_soon_as_it_cannot_be_a_call(written: str, shown: str) -> None:
    filter_ = CallFilter(TOOLS)

    assert "".join(filter_.feed(letter) for letter in written) == shown


def test_nothing_of_a_call_is_ever_shown() -> None:
    for form in FORMS.values():
        filter_ = CallFilter(TOOLS)
        assert "".join(filter_.feed(letter) for letter in form) == "", form


PARTS = st.sampled_from(
    [
        *"a \n{}[]:)'\\",
        '"name"',
        '"weather"',
        "<tool_call>",
        "</tool_call>",
        "```",
        "weather(",
        CALL,
    ]
)


@settings(deadline=None)
@given(st.lists(PARTS, max_size=10).map("".join))
def test_what_comes_out_does_not_depend_on_the_cuts(written: str) -> None:
    def outcome(pieces: list[str]) -> tuple[Any, ...]:
        text, filter_ = take(pieces)
        return text, filter_.calls, filter_.unreadable

    whole, *others = [outcome(pieces) for pieces in cuts(written)]

    assert others == [whole] * len(others)


@settings(deadline=None)
@given(st.text(alphabet="ab<tool_call>{}[]()`'\" \n", max_size=60))
def test_no_letter_of_a_text_without_calls_is_lost(written: str) -> None:
    for pieces in cuts(written):
        assert read(pieces) == (written, [])


def test_tools_are_known_by_their_declarations() -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    function = {"name": "weather", "description": "", "parameters": parameters}

    assert tools_of([{"type": "function", "function": function}]) == {
        "weather": frozenset({"city"})
    }
    assert tools_of(None) == {}
