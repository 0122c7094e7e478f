"""The tool `calculate`: arithmetic for language models, which are bad at it.

An expression is parsed as Python and walked; only what `OPERATORS` and `FUNCTIONS` name is
computed. Invariant: no expression takes more than a moment, for sizes are checked before the work.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from config.errors import Invalid
from config.hints import list_names
from tools.spec import Tool, ToolContext

Number: TypeAlias = int | float

# Together these bound the time and memory of any expression to well under a millisecond each.
MAX_CHARACTERS = 500
"""Together with `MAX_BITS` this bounds the time and memory of any expression."""
MAX_BITS = 4096
"""Of an integer, also in between."""
EXACT_JSON_INTEGER = 2**53
"""Larger integers lose digits where JSON numbers are floats (RFC 8259, 6)."""

CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e, "tau": math.tau}
OPERATOR_LOOKALIKES = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "^": "**"})
"""What models write for operators."""


def _power(base: Number, exponent: Number) -> Number:
    # Sizes are checked before the work: 9**9**9 would run for hours.
    whole = isinstance(base, int) and isinstance(exponent, int) and abs(base) > 1
    if whole and int(base).bit_length() * abs(exponent) > MAX_BITS:
        raise _too_large_error()
    return _check_real(base**exponent)


def _round(value: Number, digits: Number = 0) -> Number:
    # round(5, -10**9) would first compute ten to the power of a billion.
    if not isinstance(digits, int) or abs(digits) > 400:
        raise Invalid("round takes a whole number of digits, at most 400.", code="undefined_result")
    return round(value, digits) if digits else round(value)


def _factorial(value: Number) -> Number:
    if not isinstance(value, int) or value < 0:
        raise Invalid(
            "factorial takes a whole number that is not negative.", code="undefined_result"
        )
    if value > 500:
        raise _too_large_error()
    return math.factorial(value)


def _check_real(value: Any) -> Number:
    if isinstance(value, complex):
        raise Invalid("The result is not a real number.", code="undefined_result")
    return value  # type: ignore[no-any-return]


OPERATORS: Mapping[type[ast.AST], Callable[..., Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}

FUNCTIONS: Mapping[str, Callable[..., Number]] = {
    "abs": abs,
    "acos": math.acos,
    "asin": math.asin,
    "atan": math.atan,
    "atan2": math.atan2,
    "ceil": math.ceil,
    "cos": math.cos,
    "degrees": math.degrees,
    "exp": math.exp,
    "factorial": _factorial,
    "floor": math.floor,
    "gcd": math.gcd,
    "hypot": math.hypot,
    "log": math.log,
    "log10": math.log10,
    "log2": math.log2,
    "max": lambda *values: max(values),
    "mean": lambda *values: sum(values) / len(values),
    "min": lambda *values: min(values),
    "radians": math.radians,
    "round": _round,
    "sin": math.sin,
    "sqrt": math.sqrt,
    "sum": lambda *values: sum(values),
    "tan": math.tan,
}


def evaluate(expression: str) -> Number:
    """Evaluate an arithmetic expression.

    Raises `Invalid` that says what is wrong in it (`too_large`, `invalid_expression`,
    `undefined_result`).
    """
    if len(expression) > MAX_CHARACTERS:
        raise Invalid(f"An expression has at most {MAX_CHARACTERS} characters.", code="too_large")
    try:
        tree = ast.parse(expression.strip().translate(OPERATOR_LOOKALIKES), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Invalid(
            f"'{expression}' is no arithmetic expression.", code="invalid_expression"
        ) from error
    try:
        value = _evaluate_node(tree.body)
    except (ZeroDivisionError, ValueError, TypeError) as error:
        raise Invalid(f"'{expression}' has no value: {error}.", code="undefined_result") from error
    except (OverflowError, RecursionError) as error:
        raise _too_large_error() from error
    if isinstance(value, float) and not math.isfinite(value):
        raise Invalid(f"'{expression}' is not finite.", code="undefined_result")
    return value


def _evaluate_node(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float() as number):
            return _check_size(number)
        case ast.Name(id=name) if name in CONSTANTS:
            return CONSTANTS[name]
        case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
            return OPERATORS[type(op)](_evaluate_node(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return _check_size(OPERATORS[type(op)](_evaluate_node(left), _evaluate_node(right)))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            return _check_size(FUNCTIONS[name](*(_evaluate_node(arg) for arg in args)))
    raise _explain_unknown(node)


def _check_size(value: Number) -> Number:
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise _too_large_error()
    return value


def _too_large_error() -> Invalid:
    return Invalid("The expression grows too large to compute.", code="too_large")


def _explain_unknown(node: ast.expr) -> Invalid:
    match node:
        case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)):
            hint = f"'{name}' is unknown. {list_names([*FUNCTIONS, *CONSTANTS])}"
        case _:
            hint = "Use numbers, + - * / // % **, brackets and functions such as sqrt."
    return Invalid(
        f"This is not arithmetic: '{ast.unparse(node)[:80]}'. {hint}", code="invalid_expression"
    )


def to_json_number(value: Number) -> int | float | str:
    """Return the number as JSON holds it: 15 digits of a float are certain, big
    integers are text.
    """
    if isinstance(value, float):
        return float(f"{value:.15g}")
    return value if abs(value) <= EXACT_JSON_INTEGER else str(value)


DESCRIPTION = (
    "Evaluate an arithmetic expression. Operators: + - * / // % **. "
    f"Functions: {', '.join(FUNCTIONS)}. Constants: {', '.join(CONSTANTS)}."
)
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "expression": {
            "type": "string",
            "description": "What to compute: numbers with operators and brackets.",
            "minLength": 1,
            "maxLength": MAX_CHARACTERS,
        }
    },
    "required": ["expression"],
    "additionalProperties": False,
}


def calculate_tool() -> Tool:
    """Build the tool that evaluates one arithmetic expression, bounded in size and time."""
    return Tool(
        *("calculate", DESCRIPTION, PARAMETERS, _calculate),
        repeatable=True,
        reads="nothing",
        addresses=(),
    )


async def _calculate(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
    expression: str = arguments["expression"]
    try:
        return {"expression": expression, "result": to_json_number(evaluate(expression))}
    except Invalid as error:
        error.details["field"] = "expression"
        raise
