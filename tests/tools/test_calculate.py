from __future__ import annotations

import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import Invalid
from tests.support.tenants import TENANT
from tools.calculate import FUNCTIONS, calculate_tool, evaluate
from tools.spec import ToolContext


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("1 + 2 * 3", 7),
        ("(1200 * 1.19) / 12", 119.0),
        ("0.1 + 0.2", 0.3),
        ("-2 ** 2", -4),
        ("7 // 2 + 7 % 2", 4),
        ("3 × 4 − 6 ÷ 2", 9.0),
        ("sqrt(16) + max(1, 2, 3)", 7.0),
        ("round(pi, 4)", 3.1416),
        ("round(2.6)", 3),
        ("mean(1, 2, 6)", 3.0),
        ("2 ** 64", "18446744073709551616"),
        ("factorial(25)", str(math.factorial(25))),
        ("+".join(["1"] * 250), 250),
    ],
)
async def test_expression_is_evaluated(expression: str, result: float | str) -> None:
    answer = await calculate_tool().call({"expression": expression}, ToolContext(tenant=TENANT))
    assert answer == {"expression": expression, "result": result}
    orjson.dumps(answer)


@pytest.mark.parametrize(
    "expression",
    [
        *("9**9**9", "2**-99999", "(10**100)**100", "factorial(501)", "factorial(10**9)"),
        *("round(5, -10**9)", "round(1.5, 10**9)", "exp(1000)", "10.0**400", "1e308 * 10", "1e999"),
        *("(2**4000)*(2**4000)", "2**2000 * 1.0", "9" * 501, "(" * 400),
    ],
)
async def test_expression_that_grows_too_large_is_refused_at_once(expression: str) -> None:
    with pytest.raises(Invalid) as raised:
        await calculate_tool().call({"expression": expression}, ToolContext(tenant=TENANT))
    assert raised.value.details["field"] == "expression"


@pytest.mark.parametrize(
    "expression",
    [
        *("__import__('os')", "(1).__class__", "[].append", "lambda: 1", "open('/etc/passwd')"),
        *("'a' * 1000", "[1] * 1000", "(x := 1)", "1 if 2 else 3", "f'{1}'", "True + 1", "1j"),
        *("sqrt(x=1)", "max(*(1, 2))", "1; 2", "a = 1", "pi.real", "sqrt.__call__(4)", "1 < 2"),
        *("", " ", "1 +", "(((", "\x00", "eval('1')", "await x", "e(2)"),
    ],
)
def test_what_is_not_arithmetic_is_refused(expression: str) -> None:
    with pytest.raises(Invalid):
        evaluate(expression)


@pytest.mark.parametrize("expression", ["1 / 0", "sqrt(-1)", "(-1) ** 0.5", "log(0)", "min()"])
def test_expression_without_value_is_refused(expression: str) -> None:
    with pytest.raises(Invalid) as raised:
        evaluate(expression)
    assert raised.value.code == "undefined_result"


@pytest.mark.parametrize(("expression", "hint"), [("1 if 2 else 3", r"\*\*"), ("sqr(4)", "sqrt")])
def test_refused_expression_is_answered_with_a_hint(expression: str, hint: str) -> None:
    with pytest.raises(Invalid, match=hint):
        evaluate(expression)


tokens = st.sampled_from(
    [*FUNCTIONS, "pi", "e", "+", "-", "*", "/", "//", "%", "**", "(", ")", ",", "9", "0", "1e300"]
)


@given(st.lists(tokens, max_size=30).map(" ".join) | st.text(max_size=40))
def test_any_text_has_a_finite_value_or_is_invalid(expression: str) -> None:
    try:
        value = evaluate(expression)
    except Invalid:
        return
    assert isinstance(value, int) or math.isfinite(value)
