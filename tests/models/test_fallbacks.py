"""What is said where a model that comes along is asked for more than it can."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import Unavailable
from config.settings import load_settings
from models.availability import Availability, PassedOver
from models.catalog.resolved import ResolvedModel
from models.catalog.spec import ModelSpec
from models.fallbacks import NeedsModel
from models.manager import open_models
from models.servers.readiness import find_free_port
from tests.support.tenants import TENANT

READER = ModelSpec(name="reader", task="chat", backend="reader")
ERROR = NeedsModel("It takes more.", "Get one.", code="needs_language_model", hint="get")


def choice(*passed_over: PassedOver, role: str | None = "chat") -> ResolvedModel:
    return ResolvedModel(READER, role, "first available", passed_over)


def passed(name: str, state: Availability) -> PassedOver:
    return PassedOver(name, f"Why {name}.", state)


def test_machine_without_a_better_model_is_told_how_to_get_one() -> None:
    error = ERROR.explain(choice(passed("ollama/*", "absent")))

    assert error.message == "It takes more. This machine has none. Get one."
    assert error.permanent


def test_model_that_is_starting_is_named_before_one_that_is_gone() -> None:
    states = passed("ollama/*", "absent"), passed("mine", "unreachable"), passed("soon", "starting")

    error = ERROR.explain(choice(*states))

    assert error.message == "It takes more. 'soon' is starting: Why soon. Try again in a moment."
    assert error.details == {"model": "soon", "state": "starting"}
    assert error.retry_after_s
    assert not error.permanent


@pytest.mark.parametrize("state", ["unreachable", "unavailable"])
def test_declared_model_that_cannot_be_had_is_named_with_its_reason(state: Availability) -> None:
    error = ERROR.explain(choice(passed("mine", state)))

    assert error.message == "It takes more. 'mine' cannot be had now: Why mine."
    assert (error.code, error.details["state"]) == ("needs_language_model", state)


def test_model_asked_for_by_name_blames_nothing_but_the_name() -> None:
    error = ERROR.explain(choice(role=None))

    assert error.message == "It takes more. Name another model than 'reader'."


async def test_language_model_whose_server_is_down_is_named_by_the_reader(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(
        "models:\n  mine:\n    task: chat\n    backend: openai\n    source: big\n"
        f"    options: {{base_url: 'http://127.0.0.1:{find_free_port()}/v1'}}\n"
    )
    async with open_models(load_settings(home=tmp_path)) as models:
        async with models.lease("chat", "chat", tenant=TENANT) as lease:
            assert lease.model.name == "reader"

        with pytest.raises(Unavailable, match="'mine' cannot be had now: No server") as caught:
            async with models.lease("chat", "chat", tenant=TENANT) as lease:
                await lease.chat.ainvoke("Write a poem.")

    assert caught.value.details["state"] == "unreachable"
