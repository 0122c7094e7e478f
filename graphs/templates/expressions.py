"""Templates and conditions: parsed and compiled once, evaluated on a run's state.

Owns the difference between a lone `{{ expression }}`, which gives its value, and text. What an
expression may do is `sandbox`'s, the filters are `filters`'.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.meta import find_undeclared_variables

from config.errors import Invalid, nearest
from config.steps import STEPS, TooManySteps, counting
from graphs.templates.filters import OWN_FILTERS
from graphs.templates.plain import MAX_VALUE, plain, write_value
from graphs.templates.rendering import RENDERING, Rendering
from graphs.templates.sandbox import Sandbox
from graphs.templates.work import MAX_STEPS, count_chars

ENDS = (".", "?", "!")
"""What a sentence ends with."""
MAX_SOURCE_CHARS = 32 * 1024
View = Mapping[str, Any]
"""A state's values by channel, as templates see them."""


@dataclass(frozen=True)
class Template:
    """A template of one field. A lone `{{ expression }}` gives its value, anything else text."""

    source: str
    names: frozenset[str]
    evaluate: Callable[[View, Rendering], Any]
    lone: bool = False

    def value(self, view: View, rendering: Rendering | None = None) -> Any:
        """Evaluate the template on a state. Raises `Invalid` (`expression_failed`).

        Within `work.evaluate` it spends that one's steps, and raises `TooManySteps` where the work
        is to be begun anew in a thread.
        """
        steps = STEPS.get(None)
        if steps is None:
            with counting(MAX_STEPS):
                return self.value(view, rendering)
        try:
            return self.evaluate(view, rendering or Rendering())
        except TooManySteps as error:
            if not steps.is_final:
                raise
            raise self._failed("it takes too much work; give it less, or do less") from error
        except UndefinedError as error:
            raise self._failed(str(error)) from error
        except SecurityError as error:
            raise self._failed(f"not allowed: {error}") from error
        except RecursionError as error:
            raise self._failed("it is nested too deeply") from error
        except Exception as error:
            raise self._failed(f"{type(error).__name__}: {error}") from error

    def text(self, view: View, rendering: Rendering | None = None) -> str:
        """Evaluate the template and write its value as text; null is empty."""
        value = self.value(view, rendering)
        if isinstance(value, str):
            return value
        return str(write_value(value))

    def _failed(self, why: str) -> Invalid:
        shown = self.source if len(self.source) <= 200 else f"{self.source[:200]}…"
        return Invalid(
            f"The expression failed: {why if why.endswith(ENDS) else f'{why}.'} It reads: {shown}",
            code="expression_failed",
            details={"expression": shown},
        )


UNKNOWN_NAME = re.compile(r"No (filter|test) named '(\w+)'")
"""How Jinja words it."""


class Expressions:
    """Compiles templates, all in one sandbox, which keeps nothing of any rendering."""

    def __init__(self) -> None:
        self._sandbox = Sandbox(OWN_FILTERS)

    def hint(self, message: str) -> str:
        """Propose the filter or test that was meant where one is not known; else nothing."""
        match = UNKNOWN_NAME.match(message)
        if match is None:
            return ""
        known = self._sandbox.filters if match[1] == "filter" else self._sandbox.tests
        return nearest(match[2], [name for name in known if not name.startswith("_")])

    def template(self, source: str) -> Template:
        """Compile a template. Raises `ValueError` or `TemplateSyntaxError` where it is wrong."""
        _check_length(source)
        try:
            return self._compile(source)
        except (RecursionError, MemoryError, SyntaxError) as error:
            # Of Python, which compiles what Jinja writes.
            raise ValueError("the template is nested too deeply") from error

    def _compile(self, source: str) -> Template:
        if "{" not in source:
            return Template(source, frozenset(), lambda view, rendering: source)
        stripped = source.strip()
        # Around a lone expression, blanks mean nothing.
        wrapped = stripped.startswith("{{") and stripped.endswith("}}")
        tree = self._sandbox.parse_checked(stripped if wrapped else source)
        if wrapped and (lone := _lone(tree)) is not None:
            return Template(source, _names(tree), self._expression(lone), lone=True)
        if wrapped and stripped != source:
            tree = self._sandbox.parse_checked(source)
        return Template(source, _names(tree), self._text(tree))

    def condition(self, source: str) -> Template:
        """Compile an expression, with or without braces, whose value counts as true or false."""
        stripped = source.strip()
        if not (stripped.startswith("{{") and stripped.endswith("}}")):
            stripped = f"{{{{ {stripped} }}}}"
        template = self.template(stripped)
        if not template.lone:
            raise ValueError("a condition is one expression, as in `score > 0.5`")
        return replace(template, source=source)

    def _expression(self, expression: nodes.Expr) -> Callable[[View, Rendering], Any]:
        if isinstance(expression, nodes.Name):
            return _lookup(expression.name)
        if isinstance(expression, nodes.Const):
            constant = expression.value
            return lambda view, rendering: constant
        target = nodes.Name("result", "store")
        body: list[nodes.Node] = [nodes.Assign(target, expression, lineno=1)]
        tree = nodes.Template(body, lineno=1)
        tree.set_environment(self._sandbox)
        compiled = self._sandbox.from_string(tree)

        def evaluate(view: View, rendering: Rendering) -> Any:
            context = compiled.new_context({**view, RENDERING: rendering})
            for _ in compiled.root_render_func(context):
                pass
            return plain(context.vars["result"])

        return evaluate

    def _text(self, tree: nodes.Template) -> Callable[[View, Rendering], Any]:
        compiled = self._sandbox.from_string(tree)

        def evaluate(view: View, rendering: Rendering) -> str:
            parts: list[str] = []
            size = 0
            context = compiled.new_context({**view, RENDERING: rendering})
            for part in compiled.root_render_func(context):
                size += len(part)
                count_chars(part)
                if size > MAX_VALUE:
                    raise SecurityError(f"a text longer than {MAX_VALUE} characters")
                parts.append(part)
            return "".join(parts)

        return evaluate


def _lookup(name: str) -> Callable[[View, Rendering], Any]:
    def evaluate(view: View, rendering: Rendering) -> Any:
        if name not in view:
            raise UndefinedError(f"'{name}' is undefined")
        return view[name]

    return evaluate


def _names(tree: nodes.Template) -> frozenset[str]:
    return frozenset(find_undeclared_variables(tree)) - {"range"}


def _lone(tree: nodes.Template) -> nodes.Expr | None:
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return None
    inner = tree.body[0].nodes
    return inner[0] if len(inner) == 1 and not isinstance(inner[0], nodes.TemplateData) else None


def _check_length(source: str) -> None:
    if len(source) > MAX_SOURCE_CHARS:
        raise ValueError(
            f"a template has at most {MAX_SOURCE_CHARS} characters; this has {len(source)}"
        )
