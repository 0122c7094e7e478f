"""Agents that are built to hold up the service: their templates, schemas and files."""

from __future__ import annotations

TEXT = "word " * 6000
"""What each of them is run with, unless it names another text."""

TEMPLATES = {
    "range": "{{ range(10**9) | list | length }}",
    "power": "{{ 9 ** 9 ** 9 }}",
    "text": "{{ 'x' * 10**9 }}",
    "loops": "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}",
    "lists": "{{ [[text] * 1000] * 1000000 }}",
    "joins": "{% for a in range(3000) %}{{ text | upper | lower | title }}{% endfor %}",
    "replace": "{{ text | replace('w', text) }}",
    "regex": "{{ text | unique_by('x') }}",
    "sort": "{{ text | list | sort | unique | join(',') | length }}",
    "group": "{{ text | list | groupby('x') | list }}",
    "batch": "{{ text | list | batch(1) | list | length }}",
    "wordwrap": "{{ text | wordwrap(1) | length }}",
    "indent": "{{ (text | replace(' ', '\\n')) | indent(1000) | length }}",
    "spoken": "{{ text | spoken }}",
    "scenes": "{{ text | scenes(50) }}",
    "json": "{{ text | tojson | length }}",
    "escape": "{{ ('<' * 100000) | escape | length }}",
    "date": "{{ text | date('%Y') }}",
}
TEXTS = {"spoken": "`" * 20_000, "scenes": "A. " * 15_000, "regex": "*_" * 10_000}

SCHEMAS = {
    "pattern": '{type: string, pattern: "^(a+)+$"}',
    "unique": "{type: array, uniqueItems: true, items: {type: array}}",
    "circle": '{$ref: "#"}',
    "address": '{$ref: "http://169.254.169.254/schema"}',
    "file": '{$ref: "file:///etc/passwd"}',
    "dynamic": '{$dynamicRef: "#x"}',
}

NODES = 400
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
DENSE = (
    "version: 1\nname: dense\ninput: {text: string}\nnodes:\n"
    + "\n".join(f"  n{n}: {{type: set, values: {{v{n}: x}}}}" for n in range(60))
    + "\nedges:\n"
    + "\n".join(f"  n{n}: [{', '.join(f'n{m}' for m in range(n + 1, 60))}]" for n in range(59))
    + "\noutput: [v0]\n"
)
FILES = {
    "laughs": LAUGHS,
    "deep": "version: 1\nname: deep\nnodes: " + "[" * 5000 + "]" * 5000,
    "nothing": "\0" * 1000,
    "tags": "!!python/object/apply:os.system ['id']",
    "keys": "version: 1\n" + "\n".join(f"k{n}: 1" for n in range(10_000)),
    "circle": "&a [*a]",
    "wide": "version: 1\nname: wide\ninput: {text: string}\nnodes:\n"
    + "\n".join(f"  n{n}: {{type: set, values: {{v{n}: x}}}}" for n in range(NODES))
    + "\noutput: [v0]\n",
    "dense": DENSE,
}  # fmt: skip


def template_agent(name: str, template: str) -> str:
    """Write an agent that renders a template."""
    quoted = template.replace("'", "''")
    return (
        f"version: 1\nname: {name}\ndescription: Hostile.\ninput: {{text: string}}\n"
        f"nodes:\n  a: {{type: set, values: {{answer: '{quoted}'}}}}\noutput: [answer]\n"
    )


def schema_agent(name: str, schema: str) -> str:
    """Write an agent that asks a person for what fits a schema."""
    return (
        f"version: 1\nname: {name}\ndescription: Hostile.\ninput: {{text: string}}\n"
        f"nodes:\n  a: {{type: human, message: Well?, schema: {schema}, save: answer}}\n"
        "output: [answer]\n"
    )
