"""What nodes say of sampling: checked in the file, rendered for each step, told the model."""

from __future__ import annotations

from typing import Any

import pytest

from config.errors import Invalid
from tests.support.graph_runs import agent_of_yaml, run
from tests.support.graphs import FakeModels, calling, chat, context

FIELDS = (
    "temperature: 0.2, top_p: 0.9, top_k: 40, seed: 7, "
    'max_tokens: "{{ most }}", stop: ["END", "\\n"]'
)
SAID = {
    "temperature": 0.2,
    "top_p": 0.9,
    "top_k": 40,
    "max_tokens": 50,
    "seed": 7,
    "stop": ["END", "\n"],
}
NODES = {
    "text": "type: text",
    "json": "type: text, schema: {type: object}",
    "agent": "type: agent, tools: [calculate]",
}


def agent(node: str, fields: str) -> Any:
    return agent_of_yaml(
        "input: {most: {type: any, default: 50}}\n"
        f"nodes: {{answer: {{{NODES[node]}, prompt: Say it., {fields}, save: answer}}}}\n"
        "output: [answer]\n"
    )


@pytest.mark.parametrize("node", NODES)
async def test_fields_reach_the_model_with_every_question(node: str) -> None:
    first = calling("calculate", expression="1 + 1") if node == "agent" else "{"
    model = chat(first, '{"a": 1}')

    await run(agent(node, FIELDS), {"most": 50}, context(models=FakeModels({"chat": model})))

    told = [{name: each.get(name) for name in SAID} for each in model.options]
    assert told == [SAID] * (1 if node == "text" else 2)


async def test_fields_that_are_left_out_or_empty_are_not_told() -> None:
    model = chat("yes")

    await run(
        agent("text", 'max_tokens: "{{ most }}"'),
        {"most": None},
        context(models=FakeModels({"chat": model})),
    )

    assert not set(SAID) & set(model.options[0])


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("temperature: -1", r"temperature.*greater than or equal to 0"),
        ("temperature: warm", r"temperature.*must be a number, not 'warm'"),
        ("temperature: true", r"temperature.*must be"),
        ("top_p: 2", r"top_p.*less than or equal to 1"),
        ("top_k: 1.5", r"top_k"),
        ("max_tokens: 0", r"max_tokens.*greater than or equal to 1"),
        ("seed: -1", r"seed.*greater than or equal to 0"),
        ('stop: ["a", ""]', r"stop\.1.*at least 1 character"),
        ("temprature: 1", r"no key 'temprature'.*temperature"),
    ],
)
@pytest.mark.parametrize("node", ["text", "agent"])
def test_field_that_is_wrong_in_the_file_is_named(node: str, field: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        agent(node, field)


@pytest.mark.parametrize("value", ["many", 0, 1.5])
@pytest.mark.parametrize("node", ["text", "agent"])
async def test_field_whose_template_gives_what_is_wrong_fails_the_run(
    node: str, value: Any
) -> None:
    used = context(models=FakeModels({"chat": chat("yes")}))

    with pytest.raises(Invalid, match="`max_tokens`:") as caught:
        await run(agent(node, 'max_tokens: "{{ most }}"'), {"most": value}, used)

    assert caught.value.details["field"] == "max_tokens"
