"""The registry of error codes and the packages say the same, and so does docs/errors.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from config.error_codes import CODES_OF_FAMILY, ERROR_CODES
from config.errors import FAMILIES
from server.error_page import PAGE, render_page
from server.http.errors import STATUS, STATUS_OF_CODE

ROOT = Path(__file__).parent.parent
PACKAGES = ("config", "models", "indexes", "tools", "graphs", "runs", "server")
REGISTRY = ROOT / "config" / "error_codes"
CLASSES = {kind.__name__: kind for kind in FAMILIES.values()}
FAMILY_OF = {code: family for family, codes in CODES_OF_FAMILY.items() for code in codes}


class Use(NamedTuple):
    """One place where a package names a code, and the family that it raises it in, if one."""

    place: str
    code: str
    family: str | None


@cache
def sources() -> dict[Path, ast.Module]:
    """Parse every module but the registry; once, when a test asks for it."""
    files = (file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py")))
    return {file: ast.parse(file.read_text()) for file in files if file.parent != REGISTRY}


@cache
def constants() -> dict[str, str]:
    """Return the values of the constants of all modules, such as `SAVE_FAILED`."""
    return {
        node.targets[0].id: node.value.value
        for tree in sources().values()
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def literals(node: ast.expr | None) -> Iterator[str]:
    """Yield the texts that an expression for a code can be; none for one handed on."""
    match node:
        case ast.Constant(value=str() as text):
            yield text
        case ast.Name(id=name) if name in constants():
            yield constants()[name]
        case ast.IfExp(body=body, orelse=other):
            yield from literals(body)
            yield from literals(other)
        case ast.Tuple(elts=elements):
            for element in elements:
                yield from literals(element)


def is_code(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "code"


def named_codes(node: ast.AST) -> Iterator[tuple[str, str | None]]:
    """Yield the codes that one node of a tree names, with the family it raises them in."""
    match node:
        case ast.Call(func=function, keywords=keywords):
            kind = CLASSES.get(ast.unparse(function))
            given = [each.value for each in keywords if each.arg == "code"]
            if kind and not given and ast.unparse(function) != "MotetError":
                yield kind.default_code, kind.family
            for value in given:
                for code in literals(value):
                    yield code, kind.family if kind else None
        case ast.FunctionDef(args=arguments):
            names = [*arguments.args, *arguments.kwonlyargs]
            defaults = [*arguments.defaults, *arguments.kw_defaults]
            for name, default in zip(reversed(names), reversed(defaults), strict=False):
                if name.arg == "code":
                    yield from ((code, None) for code in literals(default))
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "code":
                    yield from ((code, None) for code in literals(value))


@cache
def uses() -> list[Use]:
    return [
        Use(f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}", code, family)
        for file, tree in sources().items()
        for node in ast.walk(tree)
        for code, family in named_codes(node)
    ]


def test_every_code_in_the_packages_is_registered() -> None:
    assert [use for use in uses() if use.code not in ERROR_CODES] == []


def test_every_code_is_raised_in_its_registered_family() -> None:
    wrong = [use for use in uses() if use.family and FAMILY_OF.get(use.code) != use.family]

    assert wrong == []


def test_every_registered_code_is_used() -> None:
    unused = set(ERROR_CODES) - {use.code for use in uses()} - {"internal_error"}

    assert unused == set()


def test_codes_that_are_compared_with_are_registered() -> None:
    compared = {
        code
        for tree in sources().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and is_code(node.left)
        for code in literals(node.comparators[0])
    }

    assert compared - set(ERROR_CODES) - {"context_length_exceeded"} == set()


def test_a_code_stands_in_one_family() -> None:
    assert sum(map(len, CODES_OF_FAMILY.values())) == len(ERROR_CODES)


def test_families_of_the_registry_are_those_that_are_raised() -> None:
    assert {*CODES_OF_FAMILY} == {*FAMILIES, "warning"}
    assert STATUS.keys() == FAMILIES.keys()
    assert STATUS_OF_CODE.keys() <= ERROR_CODES.keys()


@pytest.mark.parametrize("code", ERROR_CODES)
def test_meaning_and_remedy_are_sentences(code: str) -> None:
    for text in ERROR_CODES[code]:
        assert text[0].isupper() or text[0] == "`"
        assert text.endswith(".")


def test_the_page_of_error_codes_is_up_to_date() -> None:
    assert PAGE.read_text() == render_page(), "run `python -m server.error_page`"
