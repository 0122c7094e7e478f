"""What a run looks like in a terminal."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from config.errors import Invalid, MotetError
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


FIELDS = {
    "properties": {
        "text": {"type": "string"},
        "items": {"type": "array"},
        "picture": {"type": ["string", "object"], "format": "image"},
    }
}


def test_file_of_a_pair_is_read_as_its_field_needs_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A story.")
    (tmp_path / "b.json").write_text("[1, 2]")
    pairs = [f"text=@{tmp_path}/a.txt", f"items=@{tmp_path}/b.json", "picture=@cat.png"]

    values = parse_input(FIELDS, pairs, None)

    assert values == {"text": "A story.", "items": [1, 2], "picture": "@cat.png"}


def test_text_that_begins_with_an_at_sign_is_written_with_two() -> None:
    assert parse_input(FIELDS, ["text=@@anna, hello"], None) == {"text": "@anna, hello"}
    assert parse_input(FIELDS, ["@anna, hello"], None) == {"text": "@anna, hello"}
    assert parse_input(FIELDS, [], '{"text": "@anna"}') == {"text": "@anna"}


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (None, "file_not_found", "is not there. A text that itself begins with '@'"),
        (b"\xff\xfe", "not_text", "not text in UTF-8"),
        (b"x" * (2 * 2**20 + 1), "too_large", "too large"),
    ],
)
def test_file_of_a_pair_that_cannot_be_taken_is_refused_with_its_field(
    tmp_path: Path, content: bytes | None, code: str, words: str
) -> None:
    file = tmp_path / "a.txt"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(MotetError) as caught:
        parse_input(FIELDS, [f"text=@{file}"], None)

    assert (caught.value.code, caught.value.details) == (code, {"field": "text"})
    assert words in caught.value.message
