"""The conventions of CONTRIBUTING.md that a machine can check: imports, names, docstrings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("config", "models", "indexes", "tools", "graphs", "runs", "server")
BANNED_WORDS = (
    "told settle settled settling lending filling making findings wish wishes happened judged "
    "folded blended grown leans unpark parked truth keeper"
)
"""Not even as a part of a name: the glossary has one word for each of these."""
BANNED_NAMES = (
    "found place places wanted asked given kept made news seen heard tell stands gone thing"
)
"""Not as a whole name: it does not say what the value is."""
NO_VERB = (
    "a all an any anything as at both by each every everyone everything for from how if in it its "
    "more most no nobody none nothing of on one only several so some someone such that the their "
    "these they this those to two until what when where whether which who whose why with"
)
"""No function's docstring begins with one of these."""

PARTICIPLE = re.compile(r"\w{2,}(?<!e)ed|\w{2,}ing")
VERBS = frozenset({"bring", "embed", "ping", "shed"})


@cache
def modules() -> dict[str, ast.Module]:
    """Parse every module of the packages, by its dotted name; once, when a test asks for it."""
    parsed = {}
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            parsed[name] = ast.parse(file.read_text())
    return parsed


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in modules() else node.module


def defined(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)]


def is_property(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("property" in ast.unparse(each) for each in function.decorator_list)


def in_package(package: str) -> Iterator[tuple[str, ast.Module]]:
    for name, tree in modules().items():
        if name.split(".")[0] == package:
            yield name, tree


def test_no_module_imports_itself_through_others() -> None:
    """Circles of TYPE_CHECKING count too: they show two modules that are one concept."""
    graph = {
        name: {each for each in imported(tree) if each in modules() and each != name}
        for name, tree in modules().items()
    }

    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("modules import each other: " + " -> ".join(error.args[1]))


def test_maps_of_packages_name_every_module() -> None:
    """A map is a package's docstring with a list; others say that all modules are of one kind."""
    maps = {
        name: doc
        for name, tree in modules().items()
        if "- `" in (doc := ast.get_docstring(tree) or "")
    }
    missing = [
        module
        for module in modules()
        for package, _, own_name in [module.rpartition(".")]
        if package in maps
        and own_name != "__main__"
        and not re.search(rf"[`./]{own_name}[`/.]", maps[package])
    ]

    assert missing == []


@pytest.mark.parametrize("package", PACKAGES)
def test_names_use_the_words_of_the_glossary(package: str) -> None:
    misnamed = [
        f"{module}:{line} {name}"
        for module, tree in in_package(package)
        for line, name in defined(tree)
        if name.strip("_").lower() in BANNED_NAMES.split()
        or set(BANNED_WORDS.split()).intersection(words(name))
    ]

    assert misnamed == []


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_of_functions_begin_with_a_verb(package: str) -> None:
    """Participles and -ing forms are no verbs here: they hide who does what."""
    nouns = []
    for module, tree in in_package(package):
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or is_property(node):
                continue
            first = re.match(r"\W*(\w+)", ast.get_docstring(node) or "")
            word = first[1].lower() if first else ""
            if word in NO_VERB.split() or (PARTICIPLE.fullmatch(word) and word not in VERBS):
                nouns.append(f"{module}:{node.lineno} {node.name}: {word}")

    assert nouns == []


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_has_a_default_for_the_tenant(package: str) -> None:
    """Whoever forgets it is told, and does not work with another's data in silence."""
    silent = [
        f"{module}:{node.lineno}"
        for module, tree in in_package(package)
        for node in ast.walk(tree)
        if "tenant" in optional_names(node)
    ]

    assert silent == []


def optional_names(node: ast.AST) -> set[str]:
    """The arguments of a function, and the fields of a class, that may be left out."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        positional = [*node.args.posonlyargs, *node.args.args]
        optional = positional[len(positional) - len(node.args.defaults) :]
        named = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        return {each.arg for each in (*optional, *(arg for arg, default in named if default))}
    if isinstance(node, ast.ClassDef):
        fields = [each for each in node.body if isinstance(each, ast.AnnAssign) and each.value]
        required = re.compile(r"field\((?!.*default)")
        return {
            ast.unparse(each.target)
            for each in fields
            if not required.match(ast.unparse(each.value or each))
        }
    return set()


SAID = frozenset({"message", "input", "output", "answer", "answers", "prompt", "text", "args"})
"""Attributes that hold what somebody sent or was answered, or quote it."""


@pytest.mark.parametrize("package", ["graphs", "runs", "tools"])
def test_entries_of_the_log_at_info_and_warning_name_codes_and_ids(package: str) -> None:
    """What a run was given and gave stays out of the log; an error goes in by its code."""
    quoting = [
        f"{module}:{call.lineno}"
        for module, tree in in_package(package)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func) in ("log.info", "log.warning")
        for value in ast.walk(call)
        if isinstance(value, ast.Attribute) and value.attr in SAID
    ]

    assert quoting == []
