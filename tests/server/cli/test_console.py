"""What a run looks like in a terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from config.errors import Invalid
from server.cli.client import ServerEvent
from server.cli.console import listing
from server.cli.run import parse_input
from server.cli.run_output import RunPrinter, print_output


class Screen:
    """A terminal of 100 columns whose text can be read."""

    def __init__(self) -> None:
        self._file = io.StringIO()
        self.console = Console(file=self._file, width=100, markup=False, highlight=False)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._file.getvalue().splitlines()]


def shown(*events: tuple[str, dict[str, Any]]) -> tuple[list[str], RunPrinter]:
    screen = Screen()
    printer = RunPrinter(screen.console)
    for seq, (type_, fields) in enumerate(events, 1):
        printer.show(ServerEvent(str(seq), type_, {"run_id": "r1", "attempt": 1, **fields}))
    return screen.lines, printer


def test_steps_and_tokens_are_shown_as_they_come() -> None:
    lines, printer = shown(
        ("run.started", {"data": {"agent": "ask"}}),
        ("step.started", {"node": "answer", "step": "s"}),
        ("token", {"node": "answer", "step": "s", "data": {"text": "Six in "}}),
        ("token", {"node": "answer", "step": "s", "data": {"text": "the morning. [1]"}}),
        ("step.finished", {"node": "answer", "data": {"update": {"answer": "Six", "n": [1, 2]}}}),
        ("run.finished", {"data": {"output": {"answer": "Six"}}}),
    )
    assert lines == [
        "ask r1",
        "▸ answer",
        "  Six in the morning. [1]",
        "✓ answer answer: Six, n: 2 items",
    ]
    assert (printer.run_id, printer.output) == ("r1", {"answer": "Six"})


def test_the_tokens_of_two_steps_are_not_run_together() -> None:
    lines, _ = shown(
        ("token", {"step": "a", "data": {"text": "one"}}),
        ("token", {"step": "b", "data": {"text": "two"}}),
        ("token", {"step": "a", "data": {"text": "three"}}),
    )
    assert [line.strip() for line in lines if line.strip()] == ["one", "two", "three"]


def test_later_attempt_is_printed_with_its_number() -> None:
    lines, _ = shown(
        ("run.started", {"attempt": 2, "data": {"agent": "ask"}}),
        ("step.started", {"node": "a", "attempt": 3}),
    )
    assert lines == ["ask (attempt 2) r1", "▸ a (attempt 3)"]


def test_markup_in_a_message_is_printed_as_text() -> None:
    lines, _ = shown(
        ("step.failed", {"node": "a", "data": {"message": "no [/red] and no [bold]"}}),
        ("step.finished", {"node": "a", "data": {"update": {"text": "[red]x[/]"}}}),
    )
    assert lines == ["✗ a: no [/red] and no [bold]", "✓ a text: [red]x[/]"]
    screen = Screen()
    screen.console.print(listing(("name",), [("[dim]x[/dim]",)]))
    assert "[dim]x[/dim]" in screen.lines[1]


def test_printer_keeps_the_error_or_interrupts_that_a_run_ended_with() -> None:
    _, failed = shown(("run.failed", {"data": {"error": {"message": "It broke."}}}))
    assert failed.error == {"message": "It broke."}
    _, cancelled = shown(("run.cancelled", {"data": {"reason": "requested"}}))
    assert cancelled.error == {
        "code": "cancelled",
        "family": "cancelled",
        "message": "The run was cancelled: requested.",
    }
    _, waiting = shown(("run.waiting", {"data": {"interrupts": [{"id": "1", "value": "?"}]}}))
    assert waiting.interrupts == [{"id": "1", "value": "?"}]


def test_an_answer_is_printed_with_its_sources() -> None:
    screen = Screen()
    citation = {"n": 1, "source": "a.md", "heading": ["A", "B"], "start": 3, "end": 9, "text": "x"}
    print_output(screen.console, {"answer": "Six. [1]", "citations": [citation], "empty": []})
    text = "\n".join(screen.lines)
    assert "Six. [1]" in text
    assert "[1]" in text.split("sources")[1]
    assert "A › B" in text
    assert "3-9" in text
    assert "empty" not in text


def test_any_other_output_is_printed_too() -> None:
    screen = Screen()
    print_output(screen.console, {"report": "Long [text]", "n": 3, "rows": [1]})
    text = "\n".join(screen.lines)
    assert "Long [text]" in text
    assert "3" in text
    screen = Screen()
    print_output(screen.console, None)
    assert screen.lines == ["null"]


SCHEMA = {
    "properties": {
        "question": {"type": "string"},
        "limit": {"type": "integer"},
        "messages": {"title": "messages"},
        "anything": {},
    }
}


@pytest.mark.parametrize(
    ("inputs", "given"),
    [
        ([], {}),
        (["What is it?"], {"question": "What is it?"}),
        (["What is x=1?"], {"question": "What is x=1?"}),
        (["question=12"], {"question": "12"}),
        (["limit=12"], {"limit": 12}),
        (["limit=many"], {"limit": "many"}),
        (["hello", "7"], {"question": "hello", "limit": 7}),
        (["limit=7", "hello"], {"limit": 7, "question": "hello"}),
        (["messages=hi"], {"messages": [{"role": "user", "content": "hi"}]}),
        (["anything=[1, 2]"], {"anything": [1, 2]}),
        (["anything=[1, 2"], {"anything": "[1, 2"}),
    ],
)
def test_inputs_on_the_command_line_are_read_by_the_schema(
    inputs: list[str], given: dict[str, Any]
) -> None:
    assert parse_input(SCHEMA, inputs, None) == given


def test_input_with_more_texts_than_fields_is_refused() -> None:
    with pytest.raises(Invalid, match=r"takes no input for 'b'\. It takes: q"):
        parse_input({"properties": {"q": {"type": "string"}}}, ["a", "b"], None)


def test_the_whole_input_may_be_json() -> None:
    assert parse_input(SCHEMA, [], '{"limit": 1}') == {"limit": 1}
    for wrong in ("[1]", "{", "5", "null"):
        with pytest.raises(Invalid, match="--input"):
            parse_input(SCHEMA, [], wrong)
