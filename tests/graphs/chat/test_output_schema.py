"""Which value of a text is the answer, and what a model is told of one that does not fit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from graphs.chat.output_schema import REPEATS, UNFILLED, OutputSchema

PARTS = {"colour": {"enum": ["red", "blue"]}, "size": {"type": "integer"}}
STRICT = {
    "type": "object",
    "properties": PARTS,
    "required": ["colour"],
    "additionalProperties": False,
}
OPEN = {"type": "object", "properties": PARTS}
TEXTS = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "town": {"type": "string"}},
}
RED = {"colour": "red", "size": 3}


async def parse(text: str, schema: Any = STRICT, *, cut: bool = False) -> Any:
    return await OutputSchema(schema).parse(text, cut=cut)


@pytest.mark.parametrize(
    "text",
    [
        '{"colour": "red", "size": 3}',
        'As [1] says, it is {"colour": "red", "size": 3}.',
        'See [the list {of 2}: {"colour": "red", "size": 3} it is.',
        '{"thought": "hm"}\n{"colour": "red", "size": 3}',
        '```json\n{"draft": 1}\n```\nBetter:\n```json\n{"colour": "red", "size": 3}\n```',
        'I take {"colour": "green"}, no: {"colour": "red", "size": 3}',
        '```\n{"colour": "red", "size": 3}\n``` and {"more": 1}',
        '{"colour": "red", // as it is bright\n "size": 3,}',
        '/* mine */ {"colour": "red", /* 3 or 4 */ "size": 3}',
        "{'colour': 'red', 'size': 3}",
        '{{"colour": "red", "size": 3}}',
        '{"colour": "red", "size": 3',
    ],
)
async def test_value_that_fits_is_found_in_the_text(text: str) -> None:
    assert await parse(text) == RED


@pytest.mark.parametrize(
    "written",
    [
        {"properties": RED},
        {"type": "object", "properties": RED},
        {"answer": RED},
        {"my own name": RED},
        {"type": "object", "answer": {"properties": RED}},
        [RED],
        {"colour": "red", "size": "3"},
        {"colour": "red", "size": 3.0},
        {"type": "object", "colour": "red", "size": 3},
    ],
    ids=str,
)
async def test_what_was_meant_is_read_out_of_what_is_around_it(written: Any) -> None:
    assert await parse(json.dumps(written)) == RED


@pytest.mark.parametrize(
    ("written", "schema"),
    [
        ({"size": 1, "properties": {"colour": "red"}}, OPEN),
        ({"answer": {"more": 1}}, OPEN),
        ({"colour": "red", "title": "Mine"}, OPEN),
        ([RED], {"type": "array", "items": OPEN}),
        ({"type": "string"}, {"type": "object", "properties": {"type": {"type": "string"}}}),
        ({"type": "object", "title": "A"}, {"type": "object"}),
        ("5", {"type": "string"}),
        (None, {"type": "null"}),
    ],
    ids=str,
)
async def test_value_that_fits_stays_as_it_is(written: Any, schema: Any) -> None:
    assert await parse(json.dumps(written), schema) == written


@pytest.mark.parametrize(
    ("written", "schema"),
    [
        (STRICT, STRICT),
        (OPEN, OPEN),
        ({"properties": PARTS}, OPEN),
        (PARTS, OPEN),
        ({"colour": PARTS["colour"]}, OPEN),
        ({"type": "object", "required": ["colour"]}, OPEN),
        ({"answer": OPEN}, OPEN),
        ({"name": "string", "town": "string"}, TEXTS),
        ({"name": {"type": "string", "value": "Oslo"}, "town": {"type": "string"}}, TEXTS),
        ({"type": "array", "items": OPEN}, {"type": "array", "items": OPEN}),
    ],
    ids=str,
)
async def test_answer_that_repeats_the_schema_is_told_so_and_shown_the_form(
    written: Any, schema: Any
) -> None:
    """Without `required` such an object would fit."""
    output = OutputSchema(schema)

    with pytest.raises(ValueError, match="repeats the schema") as raised:
        await output.parse(json.dumps(written))

    assert str(raised.value) == REPEATS
    assert "in place of the words in <>" in output.repair(REPEATS)


async def test_form_that_was_not_filled_in_is_no_answer() -> None:
    with pytest.raises(ValueError, match="<>") as raised:
        await parse('{"name": "<string>", "town": "Oslo"}', TEXTS)

    assert str(raised.value) == UNFILLED


async def test_first_three_errors_are_told_with_their_places() -> None:
    schema = {"type": "object", "properties": {f"n{n}": {"type": "integer"} for n in range(5)}}

    with pytest.raises(ValueError, match="n0") as raised:
        await parse(json.dumps({f"n{n}": "no" for n in range(5)}), schema)

    assert [line.split(":")[0] for line in str(raised.value).splitlines()] == ["n0", "n1", "n2"]


async def test_error_told_is_that_of_the_answer_and_not_of_what_stands_beside_it() -> None:
    with pytest.raises(ValueError, match=r"colour: 'green' is not one of"):
        await parse('As [1] and [2] say: {"colour": "green", "size": 1}')


@pytest.mark.parametrize("text", ["", "  ", "red", "It is { red.", "{"])
async def test_text_without_a_value_is_not_json(text: str) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        await parse(text)


async def test_value_that_was_cut_off_is_not_closed() -> None:
    with pytest.raises(ValueError, match="not JSON"):
        await parse('{"colour": "red", "size": 3', cut=True)


def test_instruction_shows_the_form_beside_the_schema() -> None:
    told = OutputSchema(STRICT).instruction()

    assert json.dumps(STRICT) in told
    assert told.endswith('{"colour": "<red | blue>", "size": "<integer>"}')


def test_schema_of_a_single_value_has_no_form() -> None:
    assert "<" not in OutputSchema({"enum": ["red", "blue"]}).instruction()
