# ruff: noqa: E501 - tables of one line for each case
"""Agents that no catalog should take: the YAML, and the field that the refusal must name."""

from __future__ import annotations

SET = "{type: set, values: {x: 1}}"
ONE = f"nodes:\n  a: {SET}\noutput: [x]\n"


def agent(rest: str, name: str = "bad") -> str:
    return f"version: 1\nname: {name}\n{rest}"


def node(spec: str) -> str:
    return agent(f"nodes:\n  a: {spec}\noutput: [x]\n")


def value(template: str) -> str:
    return agent(
        f"nodes:\n  a:\n    type: set\n    values:\n      x: |-\n        {template}\noutput: [x]\n"
    )


def edges(edges: str, more: str = "") -> str:
    return agent(f"nodes:\n  a: {SET}\n{more}edges: {edges}\noutput: [x]\n")


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]")
    return agent("\n".join(lines) + "\n" + ONE)


VALUE = "nodes.a.values.x"

# name: (YAML, field, line); a line of None is one that cannot be told.
YAML: dict[str, tuple[str, str, int | None]] = {
    "nothing": ("", "version", None),
    "a sentence": ("hello", "", 1),
    "a list": ("- a\n- b\n", "", 1),
    "a tab": ("version: 1\n\tname: x\n", "", 2),
    "an open bracket": ("version: 1\nname: [\n", "", 2),
    "two documents": (agent(ONE) + "---\n" + agent(ONE), "", 6),
    "a null byte": (agent('description: "\0"\n' + ONE), "", 3),
    "a version in words": (f"version: one\nname: bad\n{ONE}", "version", 1),
    "a version to come": (f"version: 2\nname: bad\n{ONE}", "version", 1),
    "no name": (f"version: 1\n{ONE}", "name", 1),
    "a number as name": (agent(ONE, "12345"), "name", 2),
    "a name that climbs": (agent(ONE, "../../etc/passwd"), "name", 2),
    "a name in capitals": (agent(ONE, "Bad"), "name", 2),
    "a name too long": (agent(ONE, "a" * 65), "name", 2),
    "an unknown key": (agent(ONE + "outputs: [x]\n"), "outputs", 6),
    "no output": (agent(f"nodes:\n  a: {SET}\n"), "output", 1),
    "output of a missing channel": (agent(f"nodes:\n  a: {SET}\noutput: [z]\n"), "output.z", 5),
    "nodes as a list": (agent("nodes: [a, b]\noutput: [x]\n"), "nodes", 3),
    "no nodes": (agent("nodes: {}\noutput: [x]\n"), "nodes", 3),
    "a node that is text": (node("hello"), "nodes.a", 4),
    "a node without type": (node("{values: {x: 1}}"), "nodes.a.type", 4),
    "an unknown node type": (node("{type: sett, values: {x: 1}}"), "nodes.a.type", 4),
    "an unknown node field": (node("{type: set, values: {x: 1}, vlaues: {}}"), "nodes.a.vlaues", 4),
    "a node with blanks": (agent(f"nodes:\n  a b: {SET}\noutput: [x]\n"), "nodes.a b", 4),
    "a reserved node": (agent(f"nodes:\n  end: {SET}\noutput: [x]\n"), "nodes.end", 4),
    "a node given twice": (agent(f"nodes:\n  a: {SET}\n  a: {SET}\noutput: [x]\n"), "nodes.a", 5),
    "a channel with a dash": (node("{type: set, values: {a-y: 1}}"), "nodes.a.values.a-y", 4),
    "values as a list": (node("{type: set, values: [1]}"), "nodes.a.values", 4),
    "a timeout in words": (node("{type: set, values: {x: 1}, timeout_s: soon}"), "nodes.a.timeout_s", 4),
    "a timeout below zero": (node("{type: set, values: {x: 1}, timeout_s: -1}"), "nodes.a.timeout_s", 4),
    "no attempt": (node("{type: set, values: {x: 1}, retry: 0}"), "nodes.a.retry", 4),
    "endless attempts": (node("{type: set, values: {x: 1}, retry: 99999999999999999999}"), "nodes.a.retry", 4),
    "an unknown policy": (node("{type: set, values: {x: 1}, on_error: explode}"), "nodes.a.on_error", 4),
    "a policy that leads nowhere": (
        node("{type: set, values: {x: 1}, on_error: {goto: b}}"),
        "nodes.a.on_error.goto",
        4,
    ),
    "an input of no type": (agent("input: {q: strng}\n" + ONE), "input.q", 3),
    "a default of another type": (
        agent("input: {q: {type: integer, default: hello}}\n" + ONE),
        "input.q.default",
        3,
    ),
    "an unknown reducer": (agent("state: {x: {type: list, reduce: explode}}\n" + ONE), "state.x.reduce", 3),
    "a template over a missing channel": (value("{{ y }}"), VALUE, 8),
    "a broken expression": (value("{{ 1 + }}"), VALUE, 8),
    "an open expression": (value("{{ 1"), VALUE, 8),
    "an unknown filter": (value("{{ 1 | exec }}"), VALUE, 8),
    "a template that imports": (value("{% import 'os' as os %}{{ os }}"), VALUE, 8),
    "a template that includes": (value("{% include '/etc/passwd' %}"), VALUE, 8),
    "a template that recurs": (value("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), VALUE, 8),
    "a template too long": (value("{{ 1 }}" * 10_000), VALUE, 8),
    "a template too deep": (value("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}"), VALUE, 8),
    "a broken condition": (node("{type: set, values: {x: 1}, when: 'x ='}"), "nodes.a.when", 4),
    "an edge to nowhere": (edges("{a: b}"), "edges.a.0", 5),
    "an edge from nowhere": (edges("{b: end}"), "edges.b", 5),
    "a node on its own": (edges("{a: end}", f"  b: {SET}\n"), "nodes.b", 5),
    "branches without else": (edges("{a: [{when: 'x > 3', to: end}]}"), "edges.a", 5),
    "a loop without a bound": (edges("{a: b, b: a}", f"  b: {SET}\n"), "edges.b", 6),
    "a node after itself": (edges("{a: a}"), "edges.a", 5),
    "a condition as the bound": (edges("{a: [{when: 'x < 3', to: a}, {else: end}]}"), "edges.a", 5),
    "no steps": (agent(ONE + "max_steps: 0\n"), "max_steps", 6),
    "endless steps": (agent(ONE + "max_steps: .inf\n"), "max_steps", 6),
    "an unknown agent within": (node("{type: subgraph, agent: nobody, save: x}"), "nodes.a.agent", 4),
    "an agent within itself": (node("{type: subgraph, agent: bad, save: x}"), "nodes.a.agent", 4),
    "an object of Python": (agent("nodes: !!python/object/apply:os.system ['true']\noutput: [x]\n"), "nodes", 3),
    "an unknown tag": (agent("nodes: !secret {a: 1}\noutput: [x]\n"), "nodes", 3),
    "a bomb of aliases": (bomb(8), "a…", 5),
    "an alias of itself": (agent("nodes: &n\n  a: {type: set, values: *n}\noutput: [x]\n"), "nodes…", 3),
    "values without end": (agent("nodes: " + "[" * 2000 + "]" * 2000), "", 3),
}  # fmt: skip

# Templates that are well formed, and must fail when they run.
HOSTILE: dict[str, str] = {
    "the class of a text": "{{ ''.__class__.__mro__ }}",
    "the class by its name": "{{ ''['__class__'] }}",
    "the class by a filter": "{{ [''] | map(attribute='__class__') | list }}",
    "the globals of range": "{{ range.__globals__ }}",
    "a format string": "{{ '%s' % text }}",
    "a method that formats": "{{ '{0.__class__}'.format(text) }}",
    "a range without end": "{{ range(10**9) | list | length }}",
    "loops in loops": "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}",
    "a text without end": "{{ 'x' * 10**9 }}",
    "a power without end": "{{ 9 ** 9 ** 9 }}",
    "a list that doubles": "{{ [[text] * 1000] * 1000000 }}",
    "a division by zero": "{{ 1 / 0 }}",
    "a number too large": "{{ 10 ** 60 }}",
}  # fmt: skip
