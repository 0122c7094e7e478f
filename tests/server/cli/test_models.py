"""`motet models`: its options, and how events and pulls are shown."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from config.errors import Unavailable
from config.yaml_reader import read_yaml
from graphs.catalog import SHIPPED
from models.additions.roles import ROLE_OF_TASK
from server.cli.main import app
from server.cli.model_add import TRY
from server.cli.model_tables import format_bytes, print_models, print_pulls

JOB: dict[str, Any] = {
    "name": "ollama/x",
    "state": "failed",
    "status": "",
    "completed_bytes": 5 * 10**8,
    "total_bytes": 2 * 10**9,
    "error": {"message": "The registry has no such model."},
}
DEVICE: dict[str, Any] = {
    "device": "cuda:0",
    "free_bytes": 10**9,
    "reserved_bytes": 0,
    "total_bytes": 8 * 10**9,
    "problem": "its driver has not answered for 0.05 s",
}


def test_option_before_a_models_command_is_refused(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["models", "--home", str(tmp_path), "load", "minilm"])
    assert told.exit_code == 2
    assert "stand behind" in told.output


def test_command_whose_effect_ends_with_the_service_is_refused_without_one(tmp_path: Path) -> None:
    for command in (["load", "x"], ["unload", "x"], ["pin", "x"], ["unpin", "x"], ["events"]):
        told = CliRunner().invoke(app, ["models", *command, "--home", str(tmp_path)])
        assert isinstance(told.exception, Unavailable), command
        assert told.exception.code == "service_not_running"


@pytest.mark.parametrize("command", TRY.values())
def test_command_that_tries_an_added_model_names_an_agent_and_its_inputs(command: str) -> None:
    motet, run, agent, *inputs = shlex.split(command)

    assert (motet, run) == ("motet", "run")
    declared = read_yaml((SHIPPED / f"{agent}.yaml").read_text()).value["input"]
    named = [each.partition("=")[0] for each in inputs if "=" in each]
    assert set(named) <= set(declared)


def test_roles_that_have_a_command_to_try_them_are_all_that_are_asked_for_by_name() -> None:
    assert set(TRY) == set(ROLE_OF_TASK.values()) - {"embed", "rerank"}


def printed(show: Any, *values: Any) -> str:
    console = Console(width=160, no_color=True, markup=False, highlight=False)
    with console.capture() as captured:
        show(*values, console)
    return captured.get()


def test_a_failed_pull_shows_how_far_it_came_and_why_it_ended() -> None:
    text = printed(print_pulls, [JOB])
    assert "0.5 GB" in text
    assert "The registry has no such model." in text


def test_models_table_shows_a_stale_memory_reading_and_a_broken_file() -> None:
    found = {
        "environment": "production",
        "roles": [],
        "models": [],
        "memory": [DEVICE],
        "problems": [{"message": "models.yaml:2: models.a.task: ..."}],
    }
    text = printed(print_models, found)
    assert "environment production" in text
    assert "not read anew: its driver has not answered" in text
    assert "is not taken over: models.yaml:2" in text


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (0, "0 MB"), (91 * 10**6, "91 MB"), (25 * 10**8, "2.5 GB")]
)
def test_sizes_are_told_in_units_of_a_thousand(value: int | None, text: str) -> None:
    assert format_bytes(value) == text
