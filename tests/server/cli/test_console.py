"""What a run looks like in a terminal."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any, Literal

import orjson
import pytest

from config.errors import Invalid, MotetError
from config.terminal import show_controls
from server.cli.client import ServerEvent
from server.cli.console import SafeConsole, listing, plain_console, say, write_json
from server.cli.run import parse_input
from server.cli.run_output import RunPrinter, print_output
from server.cli.search_output import print_passages


class Screen:
    """A console of 100 columns whose text can be read; a terminal, or a pipe or file."""

    def __init__(
        self, terminal: bool = False, color_system: Literal["standard"] | None = None
    ) -> None:
        self._file = io.StringIO()
        self.console = SafeConsole(
            file=self._file,
            width=100,
            markup=False,
            highlight=False,
            emoji=False,
            force_terminal=terminal,
            color_system=color_system,
        )

    @property
    def text(self) -> str:
        return self._file.getvalue()

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


def test_thinking_stands_apart_from_the_answer() -> None:
    lines, _ = shown(
        ("thinking", {"step": "a", "data": {"text": "They ask "}}),
        ("thinking", {"step": "a", "data": {"text": "me."}}),
        ("token", {"step": "a", "data": {"text": "Yes."}}),
    )

    assert lines == ["  thinks: They ask me.", "  Yes."]


def test_thinking_is_dim_where_a_terminal_can_show_that() -> None:
    screen = Screen(terminal=True, color_system="standard")
    printer = RunPrinter(screen.console)

    for kind, text in (("thinking", "Hm."), ("token", "Yes.")):
        printer.show(ServerEvent("1", kind, {"step": "a", "data": {"text": text}}))

    assert "\x1b[2mHm.\x1b[22m" in screen.text
    assert screen.text.endswith("  Yes.")


def test_tokens_that_turned_out_to_be_thinking_are_called_so() -> None:
    lines, _ = shown(
        ("token", {"step": "a", "data": {"text": "Hm."}}),
        ("thinking", {"step": "a", "data": {"text": "Hm.", "was_token": True}}),
        ("token", {"step": "a", "data": {"text": "Yes."}}),
    )

    assert lines == ["  Hm.", "  What stands above was thinking.", "  Yes."]


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


VERBATIM = [
    "Map<String, List<String>> and <b>bold</b>",
    "2*3*4 = 24, 2 * 3, **kwargs, __init__, `code`",
    "# no heading\n\n\n1) one\n1) two\n\n    indented\n\ttab\tand tab\n",
    "[bold]no markup[/bold] [link=x] :fire: &amp; \\* \\n",
    "a line of " + "words " * 60 + "end",
    "x" * 300,
    "trailing spaces   \n  leading\r\nand \u00a0 \u3000 spaces",
    "日本語, עברית, العربية, emoji 👩‍👩‍👧 and a\u0301",
]


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("text", VERBATIM)
def test_every_character_of_a_text_is_printed(text: str, terminal: bool) -> None:
    screen = Screen(terminal)

    print_output(screen.console, {"answer": text, "report": text})

    assert screen.text.count(text) == 2


@pytest.mark.parametrize("text", VERBATIM)
def test_every_character_of_tokens_is_printed(text: str) -> None:
    screen = Screen()
    printer = RunPrinter(screen.console)
    for token in re.split("(?<= )", text):
        printer.show(ServerEvent("1", "token", {"step": "s", "data": {"text": token}}))

    assert text in screen.text


@pytest.mark.parametrize("text", VERBATIM)
def test_every_character_of_a_passage_is_printed(text: str) -> None:
    screen = Screen()
    passage = {"index": "docs", "page": None, "source": "a.md", "heading": [], "score": 1.0}
    print_passages(
        {"passages": [{**passage, "text": text, "highlights": [[0, 1]]}]}, screen.console
    )

    assert text in screen.text


STEERING = [
    *("\x1b[31m", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\", "\x1bc", "\x9b31m", "\x9d0;x\x9c"),
    *("over\rwritten", "back\b\b\b", "\x00", "\x0c", "\x7f", "\x0e", "\x85"),
    *("\u202egnp.exe", "\u2066hidden\u2069", "\u200f", "\u061c", "\u2028"),
]


def is_harmless(text: str) -> bool:
    return show_controls(text) == text


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("code", STEERING)
def test_nothing_that_a_model_or_document_says_steers_the_terminal(
    code: str, terminal: bool
) -> None:
    screen = Screen(terminal)
    printer = RunPrinter(screen.console)
    text = f"a{code}b"
    for type_, fields in [
        ("run.started", {"data": {"agent": text}}),
        ("step.started", {"node": text}),
        ("thinking", {"step": "s", "data": {"text": text}}),
        ("token", {"step": "s", "data": {"text": text}}),
        ("step.finished", {"node": "n", "data": {"update": {text: text}}}),
        ("step.failed", {"node": "n", "data": {"message": text}}),
        ("progress", {"node": "n", "data": {"sentence": text, "spoken_s": 1.0}}),
        ("progress", {"node": "n", "data": {"note": text}}),
        ("tool", {"node": "n", "data": {"result": text}}),
    ]:
        printer.show(ServerEvent("1", type_, {"run_id": text, "attempt": 1, **fields}))
    citation = {"n": 1, "source": text, "heading": [text], "start": 3, "end": 9, "text": text}
    output = {"answer": text, "short": text, "long": text * 40, "rows": [text]}
    print_output(screen.console, {**output, "citations": [citation]})
    screen.console.print(listing((text,), [(text,)]))
    passage = {"index": text, "page": None, "source": text, "heading": [text], "score": 1.0}
    answer = {"passages": [{**passage, "text": text}], "gaps": [{"message": text}]}
    print_passages(answer, screen.console)

    assert is_harmless(screen.text.replace("\x1b[1m", "").replace("\x1b[0m", ""))
    assert screen.text.count("a") > 10


@pytest.mark.parametrize("code", STEERING)
def test_json_for_programs_is_harmless_and_the_same(code: str) -> None:
    screen = Screen()
    screen.console.print_json(data={"x": [f"a{code}b", "é\t"]})

    for text in (screen.text, write_json({"x": [f"a{code}b", "é\t"]})):
        assert is_harmless(text)
        assert orjson.loads(text) == {"x": [f"a{code}b", "é\t"]}
        assert "é" in text


def test_lines_and_tables_are_not_wrapped_in_pipes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    console = plain_console()
    say(console, "word " * 60, ("end", "bold"))
    console.print(listing(("name", "more"), [("n" * 300, "m" * 300)]))

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "word " * 60 + "end"
    assert [line.split() for line in lines[1:]] == [["name", "more"], ["n" * 300, "m" * 300]]


def test_half_a_character_is_shown() -> None:
    assert show_controls("a\ud800") == "a\\ud800"


def test_the_console_of_commands_prints_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console = plain_console()
    console.print("[bold] :fire: \x1b[2J", soft_wrap=True)

    assert capsys.readouterr().out == "[bold] :fire: ␛[2J\n"


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
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "size": {"type": ["number", "string"]},
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
        (["note=12"], {"note": "12"}),
        (["note=null"], {"note": None}),
        (["note=[1]"], {"note": "[1]"}),
        (["size=12"], {"size": 12}),
        (["size=true"], {"size": "true"}),
        (["https://host/?a=b"], {"question": "https://host/?a=b"}),
        (["question=qestion=x"], {"question": "qestion=x"}),
        (["x = 1"], {"question": "x = 1"}),
    ],
)
def test_inputs_on_the_command_line_are_read_by_the_schema(
    inputs: list[str], given: dict[str, Any]
) -> None:
    assert parse_input(SCHEMA, inputs, None) == given


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (["qestion=What is it?"], "no input 'qestion'. Did you mean 'question'?"),
        (["Question=What is it?"], "no input 'Question'. Did you mean 'question'?"),
        (["question=What?", "limt=3"], "no input 'limt'. Did you mean 'limit'?"),
        (["colour=red"], "no input 'colour'. Known: anything, limit"),
        (["x=1"], "If this is a value, write question='x=1'"),
        (["limit=1", "limit=2"], "'limit' is given twice"),
    ],
)
def test_a_name_that_no_field_has_is_refused_with_the_nearest(
    inputs: list[str], words: str
) -> None:
    with pytest.raises(Invalid) as caught:
        parse_input(SCHEMA, inputs, None)
    assert words in caught.value.message


def test_input_with_more_texts_than_fields_is_refused() -> None:
    with pytest.raises(Invalid, match=r"takes no input for 'b'\. It takes: q"):
        parse_input({"properties": {"q": {"type": "string"}}}, ["a", "b"], None)


def test_the_whole_input_may_be_json() -> None:
    assert parse_input(SCHEMA, [], '{"limit": 1}') == {"limit": 1}


@pytest.mark.parametrize(
    ("inputs", "whole", "word"),
    [
        ([], "[1]", "is not a JSON object"),
        ([], '[["limit", 1]]', "is not a JSON object"),
        ([], "null", "is not a JSON object"),
        ([], "{bad", "is not a JSON object"),
        (["limit=2"], '{"limit": 1}', "'limit=2' beside it is not read"),
    ],
)
def test_whole_input_is_one_object_and_stands_alone(
    inputs: list[str], whole: str, word: str
) -> None:
    with pytest.raises(Invalid, match=word):
        parse_input(SCHEMA, inputs, whole)
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
