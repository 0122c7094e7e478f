from __future__ import annotations

import asyncio
from typing import Any

import pytest

from config.errors import Conflict, Invalid, TimedOut, Unavailable
from tests.support.tenants import TENANT
from tools.spec import RunTool, Tool, ToolContext

PARAMETERS = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 1},
        "days": {"type": "integer", "minimum": 1, "default": 3},
        "stay": {
            "type": "object",
            "properties": {"nights": {"type": "integer"}},
            "required": ["nights"],
        },
    },
    "required": ["city"],
    "additionalProperties": False,
}


async def echo(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
    return arguments


def made(run: RunTool = echo, **changes: Any) -> Tool:
    fields: dict[str, Any] = {
        "name": "weather",
        "description": "Tell the weather.",
        "parameters": PARAMETERS,
        "run": run,
        "repeatable": True,
    }
    return Tool(**{**fields, **changes})


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "city"),
        ({"city": 1}, "city"),
        ({"city": ""}, "city"),
        ({"city": "Rome", "days": 0}, "days"),
        ({"city": "Rome", "days": "3"}, "days"),
        ({"city": "Rome", "citi": "x"}, "citi"),
        ({"city": "Rome", "stay": {}}, "stay.nights"),
        ({"city": "Rome", "stay": {"nights": "two"}}, "stay.nights"),
        (["Rome"], ""),
        (None, ""),
    ],
)
async def test_an_argument_that_does_not_fit_is_named(arguments: Any, field: str) -> None:
    with pytest.raises(Invalid) as raised:
        await made().call(arguments, ToolContext(tenant=TENANT))
    assert raised.value.code == "invalid_arguments"
    assert raised.value.details == {"tool": "weather", "field": field}


async def test_an_unknown_argument_is_answered_with_the_nearest() -> None:
    with pytest.raises(Invalid, match="Did you mean 'city'"):
        await made().call({"city": "Rome", "citi": "x"}, ToolContext(tenant=TENANT))


async def test_defaults_of_the_schema_complete_the_arguments() -> None:
    assert await made().call({"city": "Rome"}, ToolContext(tenant=TENANT)) == {
        "city": "Rome",
        "days": 3,
    }


async def test_the_context_reaches_the_tool() -> None:
    events: list[dict[str, Any]] = []

    async def run(arguments: dict[str, Any], context: ToolContext) -> str:
        context.emit({"motet": "progress", "done": 1})
        return f"{context.tenant}/{context.run_id}"

    context = ToolContext("acme", "run-1", events.append)
    assert await made(run).call({"city": "Rome"}, context) == "acme/run-1"
    assert events == [{"motet": "progress", "done": 1}]


async def test_a_tool_that_takes_too_long_is_ended() -> None:
    ended = asyncio.Event()

    async def run(arguments: dict[str, Any], context: ToolContext) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(TimedOut) as raised:
        await made(run, timeout_s=0.05).call({"city": "Rome"}, ToolContext(tenant=TENANT))
    assert raised.value.code == "tool_timed_out"
    assert ended.is_set()


async def test_a_foreign_exception_becomes_ours_and_keeps_its_cause() -> None:
    async def run(arguments: dict[str, Any], context: ToolContext) -> None:
        raise KeyError("rain")

    with pytest.raises(Unavailable, match="KeyError: 'rain'") as raised:
        await made(run).call({"city": "Rome"}, ToolContext(tenant=TENANT))
    assert raised.value.code == "tool_failed"
    assert isinstance(raised.value.__cause__, KeyError)


async def test_an_error_of_ours_passes_unchanged() -> None:
    async def run(arguments: dict[str, Any], context: ToolContext) -> None:
        raise Conflict("taken", code="seat_taken")

    with pytest.raises(Conflict) as raised:
        await made(run).call({"city": "Rome"}, ToolContext(tenant=TENANT))
    assert raised.value.code == "seat_taken"


@pytest.mark.parametrize("name", ["", "two words", "1st", "a" * 65, "é", "../x", "a\n"])
def test_a_name_that_models_cannot_call_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        made(name=name)


@pytest.mark.parametrize(
    "reference",
    [
        {"$ref": "http://127.0.0.1:9/schema"},
        {"$ref": "file:///etc/hostname"},
        {"$dynamicRef": "#node"},
        {"$ref": "#/$defs/missing"},
    ],
)
def test_parameters_that_refer_to_elsewhere_are_refused(reference: dict[str, str]) -> None:
    with pytest.raises(Invalid, match="cannot be used") as caught:
        made(parameters={"type": "object", "properties": {"city": reference}})

    assert caught.value.details["field"] == "parameters"


def test_parameters_that_are_no_schema_are_refused() -> None:
    with pytest.raises(Invalid, match="no JSON schema"):
        made(parameters={"type": "objekt"})


def test_the_declaration_is_what_tool_calling_models_take() -> None:
    function = {
        "name": "weather",
        "description": "Tell the weather.",
        "parameters": PARAMETERS,
    }
    assert made().as_function() == {"type": "function", "function": function}


@pytest.mark.parametrize("value", [float("nan"), 2**63, "\ud800", {"a": [float("inf")]}])
async def test_result_that_no_checkpoint_holds_is_refused_with_its_place(value: Any) -> None:
    async def run(arguments: dict[str, Any], context: ToolContext) -> Any:
        return {"rows": [value]}

    with pytest.raises(Invalid, match="Tool 'weather' gives what cannot be kept") as caught:
        await made(run).call({"city": "Rome"}, ToolContext(tenant=TENANT))

    assert caught.value.code == "unstorable_value"
    assert caught.value.details["tool"] == "weather"
    assert caught.value.details["field"].startswith("result.rows.0")
