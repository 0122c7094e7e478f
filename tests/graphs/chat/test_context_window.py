"""What of a prompt is left out where not all of it fits."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from graphs.chat.context_window import CUT_OFF, LeftOut, Prompt, fit_prompt
from graphs.chat.conversation import CALLERS_INSTRUCTIONS, SUMMARY_HEADING
from graphs.chat.foreign import mark_foreign

MARK = "m4rk"
WORDS = "some words of a turn " * 10


def texts(messages: Sequence[BaseMessage]) -> list[str]:
    return [str(message.text) for message in messages]


def talk(turns: int) -> list[BaseMessage]:
    said: list[BaseMessage] = [SystemMessage("Be kind.")]
    for number in range(turns):
        said += [HumanMessage(f"{number} {WORDS}"), AIMessage(f"answer {number} {WORDS}")]
    return [*said, HumanMessage("And now?")]


def cited(*passages: str) -> Prompt:
    block = "\n\n".join(passages)
    question = HumanMessage(f"{mark_foreign(block, MARK)}\n\nQuestion: why?")
    return Prompt([SystemMessage("Answer."), question], passages, MARK)


def test_a_prompt_that_fits_stays_as_it_is() -> None:
    prompt = Prompt(talk(3))

    assert fit_prompt(prompt, prompt.tokens) is prompt


def test_the_oldest_turns_are_left_out_as_a_whole() -> None:
    prompt = Prompt(talk(8))

    fitted = fit_prompt(prompt, prompt.tokens // 2)

    assert fitted.tokens <= prompt.tokens // 2
    shown = texts(fitted.messages)
    assert (shown[0], shown[-1]) == ("Be kind.", "And now?")
    assert isinstance(fitted.messages[1], HumanMessage)
    assert fitted.left_out.messages == len(prompt.messages) - len(fitted.messages)
    assert list(fitted.messages[1:]) == list(prompt.messages[-len(fitted.messages) + 1 :])


@pytest.mark.parametrize("heading", [CALLERS_INSTRUCTIONS, SUMMARY_HEADING])
def test_what_holds_for_the_whole_conversation_is_not_left_out(heading: str) -> None:
    standing = HumanMessage(f"{heading}\n\nSpeak German.")
    prompt = Prompt([standing, *talk(8)])

    fitted = fit_prompt(prompt, 60)

    assert fitted.messages[0] is standing
    assert texts(fitted.messages)[1:] == ["Be kind.", "And now?"]


def test_a_result_of_a_tool_never_loses_its_call() -> None:
    call = AIMessage("", tool_calls=[{"name": "web", "args": {}, "id": "1"}])
    turn = [HumanMessage(WORDS), call, ToolMessage(WORDS, tool_call_id="1"), AIMessage(WORDS)]
    prompt = Prompt([*turn, *turn[:3], HumanMessage("No more tools."), HumanMessage("last")])

    for room in range(10, prompt.tokens, 25):
        shown = fit_prompt(prompt, room).messages
        calls = [n for n, message in enumerate(shown) if getattr(message, "tool_calls", ())]
        results = [n for n, message in enumerate(shown) if message.type == "tool"]
        assert results == [n + 1 for n in calls]


def test_a_turn_goes_on_behind_a_tools_result() -> None:
    call = AIMessage("", tool_calls=[{"name": "web", "args": {}, "id": "1"}])
    turn = [HumanMessage("Look it up."), call, ToolMessage(WORDS, tool_call_id="1")]
    prompt = Prompt([*talk(2), *turn, HumanMessage("No more tools can be called.")])

    fitted = fit_prompt(prompt, 1)

    assert texts(fitted.messages)[1] == "Look it up."


def test_passages_are_left_out_from_the_last_on() -> None:
    passages = [f"[{n}] Title: passage {n} {WORDS}" for n in range(1, 6)]
    prompt = cited(*passages)

    fitted = fit_prompt(prompt, prompt.tokens // 2)

    text = str(fitted.messages[1].text)
    kept = 5 - fitted.left_out.passages
    assert 0 < kept < 5
    assert [passage in text for passage in passages] == [True] * kept + [False] * (5 - kept)
    assert text == str(cited(*passages[:kept]).messages[1].text)
    assert fitted.tokens <= prompt.tokens // 2


def test_turns_are_left_out_before_passages() -> None:
    passages = [f"[{n}] {WORDS}" for n in range(1, 4)]
    own = cited(*passages)
    prompt = Prompt([own.messages[0], *talk(4)[1:-1], own.messages[1]], passages, MARK)

    fitted = fit_prompt(prompt, own.tokens)

    assert fitted.left_out == LeftOut(messages=8)


def test_the_longest_texts_are_cut_to_one_length() -> None:
    contents = ["short text", "word " * 400, "word " * 900]
    marked = "\n".join(mark_foreign(each, MARK) for each in contents)
    prompt = Prompt([HumanMessage(f"{marked}\nSum up.")], (), MARK)

    fitted = fit_prompt(prompt, prompt.tokens // 2)

    text = str(fitted.messages[0].text)
    assert "short text" in text
    assert text.endswith("Sum up.")
    assert fitted.left_out == LeftOut(texts=2)
    cut = [part for part in text.split(f"<<foreign {MARK}>>\n") if CUT_OFF in part]
    assert len(cut) == 2
    assert abs(len(cut[0]) - len(cut[1])) < 20


def test_a_picture_stays_beside_a_text_that_is_cut() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:,"}}
    content = [{"type": "text", "text": mark_foreign("word " * 900, MARK)}, picture]
    prompt = Prompt([HumanMessage(content)], (), MARK)

    fitted = fit_prompt(prompt, prompt.tokens // 2)

    assert fitted.messages[0].content[1] == picture
    assert fitted.left_out.texts == 1


@given(st.integers(0, 12), st.integers(1, 4000))
def test_system_message_and_question_are_never_cut(turns: int, room: int) -> None:
    fitted = fit_prompt(Prompt(talk(turns)), room)

    assert texts(fitted.messages)[0] == "Be kind."
    assert texts(fitted.messages)[-1] == "And now?"
    assert fitted.tokens <= room or len(fitted.messages) == 2
