"""Agent files: what is well formed, and what is said of those that are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from config.errors import Invalid
from graphs.catalog import SHIPPED
from graphs.loading.build import AgentSource, agent_of, build_agent
from graphs.spec.agent_spec import AgentSpec, read_spec, spec_json_schema
from graphs.spec.source import read_source
from tests.support.graph_runs import agent_of_yaml

GOOD = """\
version: 1
name: test
input:
  question: string
  limit: {type: integer, default: 3}
state:
  log: {type: list, reduce: append}
nodes:
  first:
    type: set
    values: {answer: "{{ question }}", log: one}
  second:
    type: set
    values: {log: two}
output: [answer, log]
"""


def problems_of(text: str, file: str = "agent.yaml") -> list[dict[str, Any]]:
    with pytest.raises(Invalid) as caught:
        build_agent(AgentSource("test", text, "own", Path(file)), lambda name: pytest.fail(name))
    assert caught.value.code == "invalid_agent"
    assert caught.value.details["problems"][0]["message"] in caught.value.message
    found: list[dict[str, Any]] = caught.value.details["problems"]
    return found


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("version: 1", "version: 2", 1, "version", "must be 1"),
        ("version: 1\n", "", 1, "version", "is required"),
        ("name: test", "name: ../etc/passwd", 2, "name", "not a name"),
        ("name: test", "name: Test", 2, "name", "not a name"),
        ("nodes:", "node:", 8, "node", "no key 'node' here. Did you mean 'nodes'?"),
        ("question: string", "question: strin", 4, "input.question", "must be 'string'"),
        ("default: 3", "defalt: 3", 5, "input.limit.defalt", "Did you mean 'default'?"),
        ("default: 3", "default: three", 5, "input.limit.default", "does not fit the type integer"),
        ("reduce: append", "reduce: append, default: 3", 7, "state.log.default", "the type list"),
        ("reduce: append", "reduce: add_up", 7, "state.log.reduce", "must be 'last'"),
        ("reduce: append", "keep: maybe", 7, "state.log.keep", "true or false"),
        ("type: set", "type: sett", 10, "nodes.first.type", "Did you mean 'set'?"),
        ("    type: set\n", "", 9, "nodes.first.type", "is required"),
        ("values: {a", "vals: {a", 11, "nodes.first.vals", "Did you mean 'values'?"),
        ("values: {answer", "values: {an swer", 11, "nodes.first.values.an swer", "not a name"),
        ("{{ question }}", "{{ questio }}", 11, "nodes.first.values.answer",
         "no channel 'questio'. Did you mean 'question'?"),
        ("{{ question }}", "{{ question", 11, "nodes.first.values.answer", "wrong expression"),
        ("{{ question }}", "{{ question | uper }}", 11, "nodes.first.values.answer",
         "No filter named 'uper'"),
        ("{{ question }}", "{% include 'x' %}", 11, "nodes.first.values.answer", "not allowed"),
        ("[answer, log]", "[answr]", 15, "output.answr", "Did you mean 'answer'?"),
        ("[answer, log]", "{a: '{{ answr }}'}", 15, "output.a", "Did you mean 'answer'?"),
        ("[answer, log]", "7", 15, "output", "a text or a list or a mapping"),
        ("  second:", "  end:", 12, "nodes.end", "word of templates"),
        ("  second:", "  'a b':", 12, "nodes.a b", "not a name"),
        ("  second:\n", "  second:\n    retry: {attempt: 2}\n", 13,
         "nodes.second.retry.attempt", "Did you mean 'attempts'?"),
        ("  second:\n", "  second:\n    retry: many\n", 13, "nodes.second.retry", "whole number"),
        ("  second:\n", "  second:\n    timeout_s: -1\n", 13, "nodes.second.timeout_s", "greater"),
        ("  second:\n", "  second:\n    on_error: skip\n", 13, "nodes.second.on_error", "must be"),
        ("  second:\n", "  second:\n    on_error: {goto: thrd}\n", 13,
         "nodes.second.on_error.goto", "no node 'thrd'"),
        ("  second:\n", "  second:\n    on_error: {default: {lg: 1}}\n", 13,
         "nodes.second.on_error.default", "Did you mean 'log'?"),
        ("  second:\n", "  second:\n    save: x\n", 13, "nodes.second.save", "takes no `save`"),
        ("  second:\n", "  second:\n    when: log >\n", 13, "nodes.second.when", "expression"),
    ],
)  # fmt: skip
def test_mistake_in_a_file_is_reported_with_line_and_column(
    old: str, new: str, line: int, field: str, says: str
) -> None:
    assert old in GOOD
    found = problems_of(GOOD.replace(old, new, 1))
    places = {(item["line"], item["field"]) for item in found}
    assert (line, field) in places, found
    told = " ".join(f"{item['message']} {item['hint']}" for item in found)
    assert any(part in told for part in says.split("|")), told


@pytest.mark.parametrize(
    ("edges", "line", "says"),
    [
        ("first: secnd", 17, "no node 'secnd'. Did you mean 'second'?"),
        ("frst: second", 17, "no node 'frst'. Did you mean 'first'?"),
        ("second: first", 12, "no edge leads to 'second'"),
        ("first: second\n  second: first", 18, "the loop first → second → first has no bound"),
        ("first: first", 17, "the loop first → first has no bound"),
        ("first:\n    - {when: log, to: second}", 17, "no branch holds"),
        ("first:\n    - {else: second}\n    - {when: log, to: end}", 19, "never reached"),
        ("first:\n    - {when: lg, to: second}\n    - else: end", 18, "Did you mean 'log'?"),
        ("first:\n    - {when: log}\n    - else: second", 18, "a branch has either `to`"),
        ("first:\n    - {to: second, max_loops: 0}\n    - else: end", 18, "greater than"),
        ("first:\n    - {too: second}\n    - else: second", 18, "no key 'too'"),
        ("first: []", 17, "at least 1"),
        ("first: 7", 17, "mapping|Branch"),
    ],
)
def test_mistake_in_edges_is_reported_with_line_and_column(
    edges: str, line: int, says: str
) -> None:
    found = problems_of(f"{GOOD}edges:\n  {edges}\n")
    lines = {item["line"]: f"{item['message']} {item['hint']}" for item in found}
    assert line in lines, found
    assert any(part in " ".join(lines.values()) for part in says.split("|")), found


@pytest.mark.parametrize(
    ("node", "says"),
    [
        ("{type: text, save: a}", "is required, or `messages`"),
        ("{type: text, prompt: x, schema: {type: nothing}}", "no JSON schema"),
        ("{type: text, prompt: x, schema: {$ref: 'http://localhost/x'}}", "leads out"),
        ("{type: text, prompt: x, save: {a: txt}}", "Did you mean 'text'?"),
        ("{type: agent, prompt: x, tools: []}", "at least 1 item"),
        ("{type: retrieve, index: a}", "give one of"),
        ("{type: retrieve, index: a, query: b, list: true}", "give one of"),
        ("{type: retrieve, index: a, query: b, limit: 0}", "from 1 to 1000"),
        ("{type: route}", "give `branches`"),
        ("{type: route, prompt: x, choices: {end: a, nowhere: b}}", "no node 'nowhere'"),
        ("{type: route, prompt: x, choices: {end: a, x: b}, default: c}", "none of the choices"),
        ("{type: route, branches: [{when: q, to: end}]}", "no branch holds"),
        ("{type: map, over: '{{ q }}'}", "give `nodes`"),
        ("{type: map, over: '{{ q }}', nodes: {a: {type: set, values: {b: 1}}}}", "result"),
        ("{type: map, over: '{{ q }}', result: 1, nodes: {a: {type: set, values: {b: '{{ c }}'}}}}",
         "no channel 'c'"),
        ("{type: map, over: '{{ q }}', result: '{{ b }} {{ d }}', "
         "nodes: {a: {type: set, values: {b: 1}}}}", "no channel 'd'"),
        ("{type: human, message: x, timeout_s: 3}", "takes none of this"),
        ("{type: human, message: x, answer: {ok: boolean}, save: {a: okay}}", "Did you mean 'ok'?"),
        ("{type: human, message: x, answer: {ok: bool}}", "must be 'string'"),
        ("{type: tool, tool: x, arguments: 3}", "mapping"),
        ("{type: set, values: {}}", "is required, or `replace`"),
    ],
)  # fmt: skip
def test_mistake_in_a_node_is_reported(node: str, says: str) -> None:
    text = f"version: 1\nname: test\ninput: {{q: list}}\nnodes:\n  x: {node}\noutput: [q]\n"
    found = problems_of(text)
    told = " ".join(f"{item['field']} {item['message']} {item['hint']}" for item in found)
    assert any(part in told for part in says.split("|")), told
    assert {item["line"] for item in found} == {5}
    assert {item["node"] for item in found} == {"x"}


def test_mistake_in_a_block_text_is_reported_at_its_own_line() -> None:
    text = GOOD.replace(
        '{answer: "{{ question }}", log: one}',
        "\n      answer: |-\n        a\n        {% if %}\n      log: one",
    )
    assert problems_of(text)[0]["line"] == 14


def test_all_problems_of_a_file_are_reported_in_one_error() -> None:
    found = problems_of(GOOD.replace("string", "strin").replace("type: set", "type: sett"))
    assert len(found) == 3
    assert [item["line"] for item in found] == [4, 10, 13]


def test_a_spec_reads_back_from_its_own_yaml() -> None:
    for file in sorted(SHIPPED.glob("*.yaml")):
        spec, _ = read_spec(file.read_text())
        again, _ = read_spec(spec.to_yaml())
        assert again.model_dump() == spec.model_dump(), file


def test_a_spec_made_in_python_runs_and_is_written_as_yaml() -> None:
    spec = AgentSpec.model_validate(
        {
            "version": 1,
            "name": "made",
            "input": {"text": "string"},
            "nodes": {"shout": {"type": "set", "values": {"answer": "{{ text | upper }}!"}}},
            "output": "answer",
        }
    )
    agent = agent_of(spec)
    assert agent.input_schema["required"] == ["text"]
    assert "{{ text | upper }}!" in spec.to_yaml()


def test_node_is_written_with_its_own_fields_first() -> None:
    node = {"retry": 2, "save": "answer", "prompt": "Hello", "type": "text"}
    made = {"version": 1, "name": "made", "nodes": {"greet": node}, "output": ["answer"]}
    written = AgentSpec.model_validate(made).to_yaml()
    assert list(yaml.safe_load(written)["nodes"]["greet"]) == ["type", "prompt", "save", "retry"]
    assert "output: [answer]" in written.splitlines()


def test_the_json_schema_accepts_every_shipped_agent_and_refuses_misspelt_keys() -> None:
    schema = spec_json_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for file in sorted(SHIPPED.glob("*.yaml")):
        value = read_source(file.read_text()).value
        assert [error.message for error in validator.iter_errors(value)] == []
        assert not validator.is_valid({**value, "node": {}})
    assert not validator.is_valid({"version": 1, "name": "x", "nodes": {"a": {"type": "y"}}})


EXTENDED = """
version: 1
name: extended
x-top: [anything]
input: {question: string, x-in: {type: nonsense}}
state: {answer: string, x-state: 1}
nodes:
  x-shared: &shared {of: everybody}
  choose:
    type: route
    prompt: "{{ question }}"
    choices: {say: Speak, rest: Be silent, x-choice: 5}
    x-node: 1
  say:
    type: set
    values: {answer: "{{ question }}", x-value: [1]}
  rest:
    type: map
    over: "{{ [1] }}"
    nodes: {x-inner: 1, it: {type: set, values: {answer: a}}}
    result: "{{ answer }}"
edges: {start: choose, x-edge: {any: thing}}
output: {answer: "{{ answer }}", x-out: [1]}
"""


def test_the_json_schema_lets_x_keys_hold_anything_wherever_the_reader_does() -> None:
    validator = Draft202012Validator(spec_json_schema())
    value = read_source(EXTENDED).value

    read_spec(EXTENDED)

    assert [error.message for error in validator.iter_errors(value)] == []
    bad = {**value, "nodes": {**value["nodes"], "y-shared": {"of": "everybody"}}}
    assert not validator.is_valid(bad)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_the_input_is_checked_field_by_field() -> None:
    agent = agent_of_yaml(GOOD)
    with pytest.raises(Invalid, match="question: is required") as caught:
        agent.initial_state({})
    assert caught.value.details["field"] == "input.question"
    for given, says in [
        ({"question": 3}, "must be a string, not an integer"),
        ({"question": None}, "null is no value"),
        ({"question": "q", "limt": 3}, "Did you mean 'limit'?"),
        ({"question": "q", "limit": "3"}, "must be an integer"),
        ({"question": "q", "limit": True}, "must be an integer, not a boolean"),
        ([], "must be an object"),
        ("q", "must be an object, not a string"),
        ({"question": "q", "limit": nested(65)}, "nested too deeply"),
    ]:
        with pytest.raises(Invalid, match=says.replace("?", r"\?")):
            agent.initial_state(given)
    assert agent.initial_state({"question": "q", "limit": 4.0})["limit"] == 4
    assert agent.initial_state({"question": "q"})["limit"] == 3


def test_wrong_field_is_named_where_a_field_is_called_as_the_type_of_its_node() -> None:
    nodes = "  a: {type: tool, tool: clock, svae: x}\n"
    nodes += (
        "  b: {type: map, over: [1], result: 1, nodes: {c: {type: tool, tool: clock, wehn: x}}}"
    )
    text = f"version: 1\nname: test\nnodes:\n{nodes}\noutput: x\n"

    fields = [problem["field"] for problem in problems_of(text)]

    assert fields == ["nodes.a.svae", "nodes.b.nodes.c.wehn"]


def test_file_that_is_wrong_all_over_is_told_so_by_its_first_problems() -> None:
    wrong = "\n".join(f"k{number}: 1" for number in range(5000))
    with pytest.raises(Invalid, match="more than 200 problems in all") as caught:
        build_agent(AgentSource("test", f"{GOOD}{wrong}\n", "own", None), pytest.fail)
    assert len(caught.value.details["problems"]) == 200


@pytest.mark.parametrize(
    ("old", "new", "field", "line"),
    [
        ("  question: string", "  loop: string\n  question: string", "input.loop", 4),
        ("  log: {", "  range: string\n  log: {", "state.range", 7),
        ("{log: two}", "{log: two, in: 1}", "nodes.second.values.in", 14),
        ("{answer:", "{self: 1, answer:", "nodes.first.values.self", 11),
        ("  second:", "  start:", "nodes.start", 12),
    ],
)
def test_reserved_name_is_told_where_it_stands(old: str, new: str, field: str, line: int) -> None:
    found = [each for each in problems_of(GOOD.replace(old, new, 1)) if each["field"] == field]

    assert [each["line"] for each in found] == [line]
    assert "word of templates and edges" in found[0]["message"]
    assert "Call it '" in found[0]["hint"]


def test_item_of_a_map_has_no_reserved_name() -> None:
    node = "{type: map, over: [1], as: loop, nodes: {b: {type: set, values: {y: 1}}}, result: 1}"
    text = f"version: 1\nname: test\nnodes:\n  a: {node}\noutput: {{x: '1'}}\n"
    assert ("nodes.a.as", 4) in {(each["field"], each["line"]) for each in problems_of(text)}


def test_unknown_filter_and_test_are_told_with_what_was_meant() -> None:
    text = GOOD.replace("{{ question }}", "{{ question | uper }}")
    assert "Did you mean 'upper'?" in problems_of(text)[0]["hint"]
    text = GOOD.replace("{{ question }}", "{{ question is definde }}")
    assert "Did you mean 'defined'?" in problems_of(text)[0]["hint"]
