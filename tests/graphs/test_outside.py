"""What an agent's file names outside itself, and what of it is told to be missing."""

from __future__ import annotations

from typing import Any

import pytest

from graphs.loading.build import AgentSource
from graphs.loading.outside import Surroundings, list_missing
from models.catalog.spec import Task
from tests.support.graph_runs import agent_of_yaml
from tools.registry import declare_tools

MODELS: dict[str, Task] = {"chat": "chat", "vision": "caption", "voice": "speech", "image": "image"}


def find_model_problem(name: str, task: Task) -> str | None:
    if name not in MODELS:
        return f"there is no model or role '{name}'."
    return None if MODELS[name] == task else f"'{name}' is not for {task}."


def around(**other: Any) -> Surroundings:
    toolbox = declare_tools()
    facts: dict[str, Any] = {
        "tools": {name: toolbox.get(name) for name in toolbox.names()},
        "find_model_problem": find_model_problem,
        "indexes": {"docs", "handbook"},
        "list_voices": {"voice": ["anna", "bert"]}.get,
    }
    return Surroundings(**{**facts, **other})


def missing(nodes: str, head: str = "", **facts: Any) -> list[tuple[str, str]]:
    """Field, and message with hint, of every problem of these nodes."""
    agent = agent_of_yaml(f"{head}\nnodes:\n{nodes}\noutput: x", find_called)
    return [
        (each["field"], f"{each['message']} {each['hint']}")
        for each in list_missing(agent, around(**facts))
    ]


CALLED = """\
version: 1
name: called
nodes:
  find: {type: retrieve, index: lost, query: a, save: y}
output: y
"""


def find_called(name: str) -> AgentSource:
    return AgentSource(name, CALLED, "own")


@pytest.mark.parametrize(
    ("node", "field", "words"),
    [
        ("{type: tool, tool: calclate, arguments: {expression: '1'}, save: x}",
         "nodes.a.tool", "Did you mean 'calculate'?"),
        ("{type: tool, tool: calculate, arguments: {expresion: '1', expression: '2'}, save: x}",
         "nodes.a.arguments.expresion", "Did you mean 'expression'?"),
        ("{type: tool, tool: calculate, save: x}", "nodes.a", "needs the argument 'expression'"),
        ("{type: tool, tool: web, arguments: {url: 'http://a', max_characters: 1}, save: x}",
         "nodes.a.arguments.max_characters", "less than the minimum"),
        ("{type: tool, tool: search, arguments: {query: q, index: hndbook}, save: x}",
         "nodes.a.arguments.index", "Did you mean 'handbook'?"),
        ("{type: agent, prompt: p, tools: [search, wbe], save: x}",
         "nodes.a.tools.1", "Did you mean 'web'?"),
        ("{type: agent, prompt: p, tools: [search], arguments: {search: {indx: docs}}, save: x}",
         "nodes.a.arguments.search.indx", "Did you mean 'index'?"),
        ("{type: agent, prompt: p, tools: [search], arguments: {search: {index: lost}}, save: x}",
         "nodes.a.arguments.search.index", "no index 'lost'"),
        ("{type: text, model: chta, prompt: p, save: x}", "nodes.a.model", "no model or role"),
        ("{type: agent, model: vision, prompt: p, tools: [web], save: x}",
         "nodes.a.model", "is not for chat"),
        ("{type: condense, model: voice, save: x}", "nodes.a.model", "is not for chat"),
        ("{type: caption, model: chat, image: 'http://a/b.png', save: x}",
         "nodes.a.model", "is not for caption"),
        ("{type: image, prompt: p, width: -3, save: x}", "nodes.a.width", "tool 'image'"),
        ("{type: speech, text: p, format: mp4, save: x}", "nodes.a.format", "'mp4' is not one of"),
        ("{type: transcribe, audio: talk.mp3, save: x}", "nodes.a.audio", "names no file"),
        ("{type: text, prompt: p, images: [cat.png], save: x}", "nodes.a.images.0", "an artifact"),
        ("{type: retrieve, index: [docs, dcs], query: q, save: x}",
         "nodes.a.index", "motet index add dcs FOLDER"),
        ("{type: retrieve, index: lost, list: true, save: x}", "nodes.a.index", "no index 'lost'"),
        ("{type: subgraph, agent: called, save: {x: y}}",
         "nodes.a.agent", "agent 'called', line 4: nodes.find.index: there is no index 'lost'"),
        ("{type: map, over: [1], agent: called, save: x}", "nodes.a.agent", "no index 'lost'"),
        ("{type: map, over: [1], nodes: {b: {type: text, model: m, prompt: p, save: y}}, "
         "result: '{{ y }}', save: x}", "nodes.a.nodes.b.model", "no model or role 'm'"),
    ],
)  # fmt: skip
def test_name_of_what_is_not_there_is_told_with_its_field(
    node: str, field: str, words: str
) -> None:
    found = missing(f"  a: {node}", "state: {messages: messages}")

    assert [each[0] for each in found] == [field]
    assert words in found[0][1]


@pytest.mark.parametrize(
    "node",
    [
        "{type: retrieve, index: docs, query: q, save: x}",
        "{type: retrieve, index: '{{ q }}', query: q, save: x}",
        "{type: retrieve, index: 'p_{{ q }}', query: q, save: x}",
        "{type: text, model: '{{ q }}', prompt: p, save: x}",
        "{type: text, prompt: p, images: '{{ q }}', save: x}",
        "{type: tool, tool: calculate, arguments: {expression: '{{ q }} + 1'}, save: x}",
        "{type: speech, text: p, format: '{{ q }}', save: x}",
        "{type: speech, text: p, language: '', save: x}",
        "{type: caption, image: 'data:image/png;base64,aGk=', save: x}",
    ],
)
def test_what_is_there_or_known_in_a_run_alone_is_no_problem(node: str) -> None:
    assert missing(f"  a: {node}", "input: {q: string}") == []


def test_default_and_enum_of_an_input_are_looked_at() -> None:
    head = "input: {i: {type: string, default: lost, enum: [lost, docs, gone]}}"

    found = missing("  a: {type: retrieve, index: '{{ i }}', query: q, save: x}", head)

    assert [words.split("'")[1] for _, words in found] == ["lost", "gone"]


def test_default_of_an_input_that_a_node_writes_says_nothing() -> None:
    head = "input: {i: {type: string, default: lost}}"
    nodes = "  b: {type: set, values: {i: docs}}\n"
    nodes += "  a: {type: retrieve, index: '{{ i }}', query: q, save: x}"

    assert missing(nodes, head) == []


def test_default_of_a_picture_must_name_a_file() -> None:
    head = "input: {p: {type: image, default: photo.jpg}}"

    found = missing("  a: {type: caption, image: '{{ p }}', save: x}", head)

    assert [field for field, _ in found] == ["input.p.default"]


def test_index_that_the_agent_makes_itself_is_not_missed() -> None:
    nodes = (
        "  b: {type: tool, tool: index, "
        "arguments: {index: fresh, create: true, text: t, source: s}}\n"
        "  a: {type: retrieve, index: fresh, query: q, save: x}"
    )
    assert missing(nodes) == []


def test_what_is_not_known_is_not_missed() -> None:
    nodes = "  a: {type: agent, model: m, prompt: p, tools: [t]}\n"
    nodes += "  b: {type: retrieve, index: i, query: q, save: x}"

    assert missing(nodes, tools=None, find_model_problem=None, indexes=None) == []


@pytest.mark.parametrize("fields", ["voice: ana", "voice: ana, model: voice"])
def test_voice_that_the_model_does_not_have_is_told(fields: str) -> None:
    found = missing(f"  a: {{type: speech, text: a, {fields}, save: x}}")

    assert found == [("nodes.a.voice", "'voice' has no voice 'ana'. Did you mean 'anna'?")]


@pytest.mark.parametrize(
    ("fields", "facts"),
    [
        ("voice: bert", {}),
        ("text: b", {}),
        ("voice: '{{ v }}'", {}),
        ("voice: ana", {"list_voices": None}),
        ("voice: ana", {"list_voices": {}.get}),
        ("voice: ana, model: '{{ v }}'", {}),
    ],
)
def test_voice_that_may_be_there_is_no_problem(fields: str, facts: dict[str, Any]) -> None:
    text = "" if "text" in fields else "text: a, "
    nodes = f"  a: {{type: speech, {text}{fields}, save: x}}"

    assert missing(nodes, head="input: {v: string}", **facts) == []
