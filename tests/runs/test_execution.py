"""How the failure of a run is put into words."""

from __future__ import annotations

from langgraph.errors import InvalidUpdateError

from config.errors import NotFound
from runs.execution import describe_error


def test_an_error_of_ours_is_told_as_it_is() -> None:
    assert describe_error(NotFound("There is no index 'x'.", code="index_not_found")) == {
        "code": "index_not_found",
        "family": "not_found",
        "message": "There is no index 'x'.",
    }


def test_parallel_writes_to_one_channel_are_told_with_what_to_do() -> None:
    error = describe_error(
        InvalidUpdateError("At key 'c': Can receive only one value per step.\nMore.")
    )
    assert (error["code"], error["family"]) == ("parallel_writes", "invalid")
    assert "Give it a reducer" in error["message"]
    assert "'c'" in error["message"]
