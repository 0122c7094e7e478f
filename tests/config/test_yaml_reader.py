"""The one dialect of YAML: the core schema of YAML 1.2, with merge keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.errors import Invalid
from config.settings import Settings, load_settings
from config.yaml_reader import MAX_VALUES, read_yaml
from graphs.spec.agent_spec import read_spec
from graphs.spec.yaml_writer import write_yaml
from indexes.quality.questions import read_questions
from indexes.spec import declared_indexes
from models.catalog.file import load_models


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("8:30", "8:30"),
        ("190:20:30", "190:20:30"),
        ("01234", 1234),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("+12", 12),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1.2.3", "1.2.3"),
        ("yes", "yes"),
        ("off", "off"),
        ("y", "y"),
        ("TRUE", True),
        ("False", False),
        ("~", None),
        ("Null", None),
        ("", None),
        ("2026-11-28", "2026-11-28"),
        ("2026-11-28T10:00:00Z", "2026-11-28T10:00:00Z"),
        ("=", "="),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_plain_scalar_is_what_yaml_1_2_says(written: str, value: Any) -> None:
    read = read_yaml(f"a: {written}").value["a"]

    assert read == value
    assert type(read) is type(value)


def test_keys_are_the_text_that_stands_there() -> None:
    assert read_yaml("on: 1\nno: 2\n8:30: 3\n01: 4\n~: 5\ntrue: 6").value == {
        "on": 1,
        "no": 2,
        "8:30": 3,
        "01": 4,
        "~": 5,
        "true": 6,
    }


@pytest.mark.parametrize(
    ("written", "word"),
    [
        ("9223372036854775808", "64 bits"),
        ("0xFFFFFFFFFFFFFFFFFF", "64 bits"),
        ("9" * 5000, "64 bits"),
        (".inf", "no number that JSON has"),
        (".NaN", "no number that JSON has"),
        ("1e999", "no number that JSON has"),
        ("!!int abc", "no int"),
        ("!!set {a}", "tag"),
        ("!!map [a]", "tag"),
        ("!own 1", "tag"),
        ("{b: 1, b: 2}", "'b' is given twice"),
        ("{<<: 5}", "mapping"),
        ("{<<: {}, <<: {}}", "'<<' is given twice"),
        ("&x {<<: *x}", "too deep"),
    ],
)
def test_value_that_json_lacks_is_a_fault_with_its_line(written: str, word: str) -> None:
    fault = read_yaml(f"first: 1\na: {written}").first_fault

    assert fault is not None
    assert fault[0] == 2
    assert word in fault[2]


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("a: 1\nb: [\n", (2, 5)),
        ("a: 1\nb: [\n\n\n", (2, 5)),
        ("a: 'open\nb: 2\n\n", (2, 5)),
        ("a: [\nb: 1\nc: d: 2\n", (3, 2)),
        ('a: 1\nbé: "\0"\n', (2, 6)),
        ("a: 1\r\nb: \x07\r\n", (2, 4)),
        (b"a: 1\nb: \xff\n", (2, 4)),
        ("a: 1\n\tb: 2\n", (2, 1)),
        ("a: 1\n---\nb: 2\n", (2, 1)),
        ("a: 1\nb: *none\n", (2, 4)),
        ("a: 1\nb: " + "[" * 50, (2, 35)),
        ("a: 1\nb: é\ud800\n", (2, 5)),
    ],
)
def test_text_that_is_no_yaml_is_refused_where_its_author_can_see_something(
    text: str | bytes, position: tuple[int, int]
) -> None:
    assert read_yaml(text).marks[()] == position


def test_fault_far_from_what_was_left_open_names_both_lines() -> None:
    fault = read_yaml("a: 1\nb: {\nc: 2\nd:: [\n").first_fault

    assert fault is not None
    assert "from line 2" in fault[2]


def test_mark_of_byte_order_before_a_text_is_no_part_of_it() -> None:
    assert read_yaml("\ufeffa: 1").value == read_yaml(b"\xef\xbb\xbfa: 1").value == {"a": 1}


def test_merge_key_brings_what_a_mapping_does_not_say_itself() -> None:
    text = "x: &x {a: 1, b: 2}\ny: {b: 3, <<: *x}\nz: {<<: [{b: 4, c: 5}, *x]}\nw: {'<<': 6}"

    value = read_yaml(text).value

    assert value["y"] == {"a": 1, "b": 3}
    assert value["z"] == {"a": 1, "b": 4, "c": 5}
    assert value["w"] == {"<<": 6}


def test_merged_keys_come_before_own_ones_because_nodes_run_in_order() -> None:
    assert list(read_yaml("x: &x {a: 1, b: 2}\ny: {c: 3, <<: *x}").value["y"]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 50,
        "a: " + "{b: " * 50,
        "\n".join(f"k{number}:" for number in range(MAX_VALUES + 1)),
        "\n".join(
            ["a0: &a0 {k: 1}", *(f"a{n}: &a{n} {{<<: *a{n - 1}, k{n}: 1}}" for n in range(1, 50))]
        ),
        "\n".join(
            ["a0: &a0 {}", *(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 30))]
        ),
    ],
)
def test_text_past_the_bounds_is_refused(text: str) -> None:
    fault = read_yaml(text).first_fault

    assert fault is not None
    assert "too many values" in fault[2]


@pytest.mark.parametrize("text", ["1e3", "0o17", "01234", "yes", "8:30", "~", ".inf", "<<", ""])
def test_text_that_looks_like_another_value_survives_being_written(text: str) -> None:
    assert read_yaml(write_yaml({"a": text, "b": [text, 1]})).value == {"a": text, "b": [text, 1]}


AGENT = """
version: 1
name: hours
x-common: &common {type: set, x-note: shared, description: All alike}
input:
  opens: {type: string, default: 8:30, x-unit: hours}
nodes:
  on: {<<: *common, values: {answer: "{{ opens }}"}}
  no: {<<: *common, values: {zip: 01234, odd: {x-kept: off}}}
output: answer
"""


def test_agent_may_use_merge_keys_and_keys_of_its_own() -> None:
    spec, _ = read_spec(AGENT)

    assert spec.input["opens"].default == "8:30"
    assert [node.description for node in spec.nodes.values()] == ["All alike"] * 2
    assert list(spec.nodes) == ["on", "no"]
    assert spec.nodes["no"].values == {"zip": 1234, "odd": {"x-kept": "off"}}  # type: ignore[union-attr]


def test_key_that_only_nearly_begins_as_ones_own_is_still_refused() -> None:
    with pytest.raises(Invalid, match="there is no key 'x_common' here"):
        read_spec(AGENT.replace("x-common", "x_common"))


def test_models_file_is_read_in_the_same_dialect(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(
        "x-own: &own {backend: ollama, task: chat, keep_alive_s: 1e3, x-note: mine}\n"
        "models:\n"
        "  on: {<<: *own, source: 'a:1'}\n"
        "  no: {<<: *own, source: 8:30, options: {context: 01024, stop: yes}}\n"
        "environments: {off: {x-why: none, roles: {chat: [no]}}}\n"
    )

    loaded = load_models(Settings(home=tmp_path, environment="off"))

    assert loaded.models["on"].keep_alive_s == 1000
    assert loaded.models["no"].source == "8:30"
    assert loaded.models["no"].options == {"context": 1024, "stop": "yes"}
    assert loaded.roles["chat"] == ["no"]


def test_models_file_that_gives_a_model_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    one = "{backend: ollama, task: chat, source: x}"
    (tmp_path / "models.yaml").write_text(f"models:\n  a: {one}\n  a: {one}\n")

    with pytest.raises(Invalid, match=r"models.yaml:3: models.a: 'a' is given twice") as caught:
        load_models(Settings(home=tmp_path))

    assert caught.value.code == "invalid_models_file"


def test_indexes_file_is_read_in_the_same_dialect(tmp_path: Path) -> None:
    (tmp_path / "indexes.yaml").write_text(
        "x-own: &own {chunk_words: 0100, description: 8:30, x-note: mine}\n"
        "indexes:\n  on: *own\n  no:\n  off: {<<: *own, weight: 1}\n  007: {}\n"
    )

    declared = declared_indexes(Settings(home=tmp_path))

    assert {"on", "no", "off", "007"} <= set(declared)
    assert declared["on"].chunk_words == 100
    assert declared["off"].description == "8:30"


def test_index_given_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "indexes.yaml").write_text("indexes:\n  on:\n  on:\n")

    with pytest.raises(Invalid, match=r"indexes.yaml:3: indexes.on: 'on' is given twice"):
        declared_indexes(Settings(home=tmp_path))


def test_settings_file_is_read_in_the_same_dialect(tmp_path: Path) -> None:
    file = tmp_path / "motet.yaml"
    file.write_text("x-rate: &rate 2e1\nheartbeat_s: *rate\nenvironment: off\nport: 08123\n")

    settings = load_settings(file, home=str(tmp_path))

    assert (settings.heartbeat_s, settings.environment, settings.port) == (20, "off", 8123)


def test_setting_given_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "motet.yaml"
    file.write_text("port: 1\nport: 2\n")

    with pytest.raises(Invalid, match=r"motet.yaml:2: port: 'port' is given twice"):
        load_settings(file, home=str(tmp_path))


def test_answer_in_a_file_of_questions_stays_the_text_that_stands_there() -> None:
    questions = read_questions("- {question: When does it open?, answer: 8:30}", "q.yaml")

    assert questions[0].answer == ("8:30",)


@pytest.mark.parametrize(
    ("text", "line", "remedy"),
    [
        ("a:\n\tb: 1", 2, "spaces, not by tabs"),
        ("a: 1\nb: @x", 2, "needs quotes"),
        ("a: 1\nb: `x`", 2, "needs quotes"),
        ("a: 1\nb: c: d", 2, "': ' needs quotes"),
        ("a: 1\nb: *c", 2, "an alias needs its anchor"),
        ("a: 1\nb: **bold**", 2, "needs quotes"),
        ("a: {{ x }}", 1, "a template"),
        ("a: 1\n---\nb: 2", 2, "leave out '---'"),
        ("a: 1\n---\n", 2, "leave out '---'"),
        ("%YAML 2.0\n---\na: 1", 1, "YAML 1.2"),
        ('a: 1\nb: "\\q"', 2, "Single quotes"),
        ('a: "x', 1, "never closed"),
        ("a: [1", 1, "Close the bracket"),
        ("a: &x 1\nb: &x 2", 2, "another name"),
        ("a: !custom 1", 1, "Leave it out"),
        ("a: {<<: }", 1, "`<<: *name`"),
    ],
)
def test_fault_says_what_to_do(text: str, line: int, remedy: str) -> None:
    fault = read_yaml(text).first_fault
    assert fault is not None
    assert fault[0] == line
    assert remedy in fault[2]


def test_text_in_another_encoding_is_to_be_saved_as_utf_8() -> None:
    for text in ("a: ä".encode("utf-16"), "a: ä".encode("latin-1")):
        fault = read_yaml(text).first_fault
        assert fault is not None
        assert "UTF-8" in fault[2]


EXTENDED = """\
version: 1
name: test
x-top: 1
input:
  x-in: &i {type: string, default: a}
  q: {<<: *i, x-note: 3}
state:
  x-st: &s {type: list, reduce: append}
  log: {<<: *s, x-why: b}
nodes:
  x-common: &c {retry: {attempts: 2, x-r: 1}, x-n: 2}
  a: {<<: *c, type: set, values: {x-v: 0, y: {x-data: 1}}, on_error: {then: continue, x-o: 1}}
  m:
    type: map
    over: [1]
    nodes: {x-inner: &n {description: b}, b: {<<: *n, type: set, values: {z: 1}}}
    result: 1
    save: {x-s: 1, r: results}
  h: {type: human, message: hi, answer: {x-a: 1, ok: boolean}}
edges:
  x-e: 5
  a: m
  m: [{to: h, x-b: 1}]
output: {x-out: 1, y: "{{ y }}"}
"""


def test_keys_of_ones_own_stand_at_every_level_of_an_agent_but_in_data() -> None:
    spec, _ = read_spec(EXTENDED)

    assert list(spec.nodes) == ["a", "m", "h"]
    assert (list(spec.input), list(spec.state)) == (["q"], ["log"])
    assert spec.input["q"].default == "a"
    written = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert written["nodes"]["a"]["values"] == {"y": {"x-data": 1}}
    assert written["nodes"]["a"]["retry"] == {"attempts": 2}
    assert written["edges"] == {"a": "m", "m": "h"}
    assert "x-" not in str(written).replace("x-data", "")


def test_keys_of_ones_own_stand_at_every_level_of_models_and_indexes(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(
        "x-top: &t {keep_alive_s: 60}\n"
        "models:\n"
        "  x-base: &b {backend: transformers, task: chat}\n"
        "  qwen: {<<: [*b, *t], source: a/b, options: {context: 1024, x-o: 1}}\n"
        "roles: {x-r: [a], chat: [qwen]}\n"
        "backends: {x-b: 1, ollama: {x-c: 1}}\n"
        "environments: {x-env: {roles: 5}, prod: {x-a: 1, roles: {x-b: [], chat: [reader]}}}\n"
    )
    (tmp_path / "indexes.yaml").write_text(
        "indexes:\n  x-base: &b {chunk_words: 100}\n  docs2: {<<: *b, x-n: 1}\n"
    )
    settings = load_settings(home=tmp_path, environment="prod")

    models, indexes = load_models(settings), declared_indexes(settings)

    assert models.models["qwen"].options == {"context": 1024}
    assert models.models["qwen"].keep_alive_s == 60
    assert models.roles["chat"] == ["reader"]
    assert "x-base" not in models.models
    assert indexes.keys() == {"docs", "docs2"}
    assert indexes["docs2"].chunk_words == 100


def test_keys_of_ones_own_stand_in_questions_and_settings(tmp_path: Path) -> None:
    file = tmp_path / "motet.yaml"
    file.write_text("x-port: &p 8123\nport: *p\n")
    questions = read_questions("- {question: When?, x-by: Anna, answer: 8:30}", "q.yaml")

    assert load_settings(file).port == 8123
    assert questions[0].answer == ("8:30",)


def test_setting_that_is_wrong_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "motet.yaml"
    for text in ("home: .\n\nprot: 80\n", "home: .\n\nport: many\n"):
        file.write_text(text)
        with pytest.raises(Invalid, match=r"motet\.yaml:3: p"):
            load_settings(file)


def test_question_that_is_wrong_is_told_with_its_line_and_what_was_meant() -> None:
    with pytest.raises(Invalid, match=r"question 2, line 2: .*Did you mean 'answer'\?"):
        read_questions("- {question: a}\n- {question: b, anwser: c}", "q.yaml")
