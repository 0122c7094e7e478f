"""The condense node: a conversation's older part removed, or replaced by a summary."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver

from config.errors import Invalid
from graphs.nodes.condense import MAX_MESSAGE_CHARS, SUMMED_TOKENS, find_older
from models.text.tokens import estimate_tokens
from tests.support.graph_runs import Transcript, agent_of_yaml, run
from tests.support.graphs import FakeModels, chat, context

TALK = """\
input:
  message: string
state:
  messages: messages
nodes:
  hear: {type: set, values: {messages: {role: user, content: "{{ message }}"}}}
  answer: {type: text, messages: "{{ messages }}", save: {messages: message, answer: text}}
  condense:
    type: condense
    unit: messages
    keep: 2
    over: 4
    summarize: SUMMARIZE
    save: {messages: messages, summary: summary, removed: removed}
output: [answer, summary, removed]
"""
SUMMING = TALK.replace("SUMMARIZE", "true")
TRIMMING = TALK.replace("SUMMARIZE", "false")


def conversation(*kinds: str) -> list[BaseMessage]:
    made: list[BaseMessage] = []
    for number, kind in enumerate(kinds):
        match kind:
            case "human":
                made.append(HumanMessage(f"said {number}", id=str(number)))
            case "tool":
                made.append(ToolMessage(f"result {number}", tool_call_id="c", id=str(number)))
            case _:
                made.append(AIMessage(f"answer {number}", id=str(number)))
    return made


def summed(request: list[BaseMessage]) -> str:
    """What a request shows between its marks."""
    lines = str(request[-1].text).splitlines()
    assert lines[0].startswith("<<foreign ")
    assert lines[-1].startswith("<<end ")
    return "\n".join(lines[1:-1])


async def talk(yaml: str, model: Any, *messages: str) -> list[Transcript]:
    """Say these messages on one thread, each in a run of its own."""
    agent, used = agent_of_yaml(yaml), context(models=FakeModels({"chat": model}))
    graph = agent.compile(InMemorySaver())
    return [await run(agent, {"message": each}, used, graph=graph) for each in messages]


async def test_a_summary_takes_the_place_of_what_it_sums_up() -> None:
    model = chat("one", "two", "three", "They counted.")

    runs = await talk(SUMMING, model, "a", "b", "c")

    assert [each.output["removed"] for each in runs] == [0, 0, 4]
    assert [str(each.text) for each in runs[2].values["messages"]] == [
        "Summary of the conversation until here:\n\nThey counted.",
        "c",
        "three",
    ]
    assert summed(model.asked[3]) == "Human: a\nAI: one\nHuman: b\nAI: two"


async def test_a_later_summary_sums_up_the_earlier_one_too() -> None:
    model = chat("one", "two", "three", "They counted.", "four", "They counted on.")

    runs = await talk(SUMMING, model, "a", "b", "c", "d")

    assert [str(each.text) for each in model.asked[4]][1:] == ["c", "three", "d"]
    assert "They counted." in str(model.asked[5][-1].text)
    assert [str(each.text) for each in runs[3].values["messages"]][1:] == ["d", "four"]
    assert runs[3].output["summary"] == "They counted on."


async def test_a_trimmed_conversation_keeps_its_end_without_a_model() -> None:
    model = chat("one", "two", "three")

    runs = await talk(TRIMMING, model, "a", "b", "c")

    assert [str(each.text) for each in runs[2].values["messages"]] == ["c", "three"]
    assert len(model.asked) == 3


@pytest.mark.parametrize(
    ("kinds", "keep", "kept"),
    [
        ("human ai human ai human ai", 2, 2),
        ("human ai human ai tool ai human ai", 5, 2),
        ("human ai human ai tool ai tool ai", 3, 6),
        ("human ai tool ai", 2, 4),
        ("ai ai ai ai", 2, 2),
        ("human ai", 2, 2),
        ("", 2, 0),
    ],
)
def test_the_end_that_stays_begins_with_a_person(kinds: str, keep: int, kept: int) -> None:
    messages = conversation(*kinds.split())

    older = find_older(messages, keep, keep, "messages")

    assert len(messages) - len(older) == kept


def test_an_end_is_measured_in_tokens() -> None:
    messages = conversation(*["human", "ai"] * 50)

    older = find_older(messages, 60, 100, "tokens")

    assert 0 < len(messages) - len(older) < 12
    assert find_older(messages, 60, 10_000, "tokens") == []


async def test_a_long_message_is_summed_up_by_its_beginning() -> None:
    model = chat("one", "two", "three", "Short.")

    transcripts = await talk(SUMMING, model, "a" * 100_000, "b", "c")

    assert len(summed(model.asked[3])) < MAX_MESSAGE_CHARS + 100
    warnings = [each["code"] for last in transcripts[-1:] for each in last.kinds("warning")]
    assert warnings == ["summary_incomplete"]


async def test_much_is_summed_up_part_by_part() -> None:
    long = [f"{word} " * 900 for word in ("red", "green", "blue", "white", "black")]
    answers = ["one", "two", "three", "four", "five"]
    model = chat(*answers, "They said red.", "They said blue too.")

    runs = await talk(SUMMING.replace("over: 4", "over: 8"), model, *long)

    first, second = map(summed, model.asked[5:])
    assert estimate_tokens(first) <= SUMMED_TOKENS
    assert "red" in first
    assert second.startswith("Summary of the conversation until here:\n\nThey said red.")
    assert "white" in second
    assert runs[4].output["summary"] == "They said blue too."


def test_a_bound_below_what_is_kept_is_a_problem_of_the_file() -> None:
    with pytest.raises(Invalid, match="must not be less than `keep`"):
        agent_of_yaml(SUMMING.replace("over: 4", "over: 1"))
