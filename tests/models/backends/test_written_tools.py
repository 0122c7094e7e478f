"""Tools in the words of a prompt, for models and servers that take none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.tool import invalid_tool_call

from config.errors import Busy, Invalid, MotetError, Unavailable
from models.backends.common.written_tools import refuses_tools, write_tools
from models.output.call_parsing import parse_calls, tools_of
from tools.model_arguments import read_arguments

PARAMETERS = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "Where."},
        "unit": {"type": ["string", "null"], "enum": ["C", "F"]},
        "days": {"type": "integer"},
    },
    "required": ["city", "days"],
}
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tell the weather of a city.",
            "parameters": PARAMETERS,
        },
    },
    {"type": "function", "function": {"name": "clock"}},
]
CALL = AIMessage("", tool_calls=[{"name": "weather", "args": {"city": "Zürich"}, "id": "c1"}])
RESULT = ToolMessage("rain", name="weather", tool_call_id="c1")


def written(messages: list[BaseMessage]) -> list[tuple[str, str]]:
    return [(each.type, str(each.content)) for each in write_tools(messages, TOOLS)]


def test_system_message_describes_each_tool_with_its_call_and_arguments() -> None:
    [(kind, text), question] = written([SystemMessage("Be brief."), HumanMessage("Rain?")])

    assert kind == "system"
    assert text.startswith("Be brief.\n\nYou have tools.")
    assert text.endswith(
        "weather: Tell the weather of a city.\n"
        '{"name": "weather", "arguments": {"city": "string", "days": "integer"}}\n'
        "- city (string): Where.\n"
        '- unit (string): One of "C", "F". May be left out.\n'
        "- days (integer)\n"
        "\n"
        "clock\n"
        '{"name": "clock", "arguments": {}}'
    )
    assert question == ("human", "Rain?")


def test_conversation_without_a_system_message_gets_one() -> None:
    assert [kind for kind, _ in written([HumanMessage("Rain?")])] == ["system", "human"]


def test_form_of_a_call_that_is_copied_is_a_call_without_arguments() -> None:
    text = written([HumanMessage("Rain?")])[0][1]
    form = next(line for line in text.splitlines() if line.startswith('{"name": "weather"'))

    [call] = parse_calls(form, tools_of(TOOLS), marked=False).calls

    assert call.name == "weather"
    assert read_arguments(call.arguments, PARAMETERS) == ({}, ["city", "days"], [])


def test_calls_and_results_are_written_as_they_were_asked_for() -> None:
    turns = written([HumanMessage("Rain?"), CALL, RESULT])[1:]

    assert turns == [
        ("human", "Rain?"),
        ("ai", '{"name": "weather", "arguments": {"city": "Zürich"}}'),
        ("human", "Result of weather:\nrain"),
    ]


def test_call_that_cannot_be_read_is_written_as_it_came() -> None:
    broken = invalid_tool_call(name="weather", args='{"city": ', id="c1", error="cut off")

    turns = written([HumanMessage("Rain?"), AIMessage("So.", invalid_tool_calls=[broken])])

    assert turns[-1] == ("ai", 'So.\n{"name": "weather", "arguments": {"city": }')


def test_messages_of_one_side_that_follow_each_other_become_one() -> None:
    """Templates such as Gemma's refuse others."""
    turns = written([HumanMessage("Rain?"), CALL, RESULT, RESULT, HumanMessage("Answer now.")])

    assert [kind for kind, _ in turns] == ["system", "human", "ai", "human"]
    assert turns[-1][1].endswith("rain\n\nAnswer now.")


def test_earlier_calls_are_written_where_no_tools_are_given() -> None:
    turns = write_tools([HumanMessage("Rain?"), CALL, RESULT], ())

    assert [type(each) for each in turns] == [HumanMessage, AIMessage, HumanMessage]
    assert json.loads(str(turns[1].content))["name"] == "weather"


@pytest.mark.parametrize(
    "error",
    [
        Unavailable(
            "x", code="model_failed", details={"cause": "tools param requires --jinja flag"}
        ),
        Invalid(
            "x",
            code="model_refused",
            details={
                "cause": '"auto" tool choice requires --enable-auto-tool-choice and '
                "--tool-call-parser to be set"
            },
        ),
        Invalid(
            "x",
            code="capability_unsupported",
            details={"cause": "registry.ollama.ai/library/gemma:2b does not support tools"},
        ),
        Unavailable("No endpoints found that support tool use.", code="model_missing"),
        Invalid("x", code="model_refused", details={"cause": "unrecognized request field: tools"}),
    ],
)
def test_refusal_of_tools_is_seen_in_the_words_of_servers(error: MotetError) -> None:
    assert refuses_tools(error)


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("x", code="model_failed", details={"cause": "image input is not supported"}),
        Busy("x", code="model_busy", details={"cause": "no slot supports tools now"}),
        Invalid("x", code="model_refused", details={"cause": "tools[0].name has no pattern"}),
    ],
)
def test_other_refusals_are_not_taken_for_one(error: MotetError) -> None:
    assert not refuses_tools(error)
