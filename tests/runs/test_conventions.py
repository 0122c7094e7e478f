"""No query of the run database leaves the tenant out, but those that are listed with a reason."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator, Mapping

from tests.test_conventions import in_package

TABLES = ("threads", "thread_metadata", "runs", "idempotency", "events", "claims", "deliveries")
"""Tables with the tenant in a column, or in that of the run to which their rows belong."""
QUERY = re.compile(rf"\b(?:FROM|JOIN|UPDATE)\s+(?:{'|'.join(TABLES)})\b")
OF_ALL_TENANTS = {
    "runs.store.list_unended_runs": "a process recovers the runs of everybody",
    "runs.deliveries.list_due": "one task calls the webhooks of everybody",
    "runs.deliveries.find_next_time": "the same task sleeps until the next of them",
    "runs.deliveries._SELECT": "the beginning of queries",
    "runs.retention_statements.OLDEST_UNENDED": "an artifact is young while any run is older",
    "runs.retention_statements.SCANS": "an artifact is held whoever names it",
}
"""Each query without a tenant, and why."""


def units(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """The functions and constants of a module, with their names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield ast.unparse(node.targets[0]), node


def text_of(node: ast.AST, constants: Mapping[str, str]) -> str:
    """What an expression of strings is, as far as it can be read; "?" stands for the rest."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return constants.get(name, "?")
        case ast.JoinedStr(values=parts):
            return "".join(text_of(part, constants) for part in parts)
        case ast.FormattedValue(value=value):
            return text_of(value, constants)
        case ast.BinOp(left=left, right=right):
            return text_of(left, constants) + text_of(right, constants)
    return "?"


def strings(node: ast.AST, constants: Mapping[str, str]) -> Iterator[str]:
    """The strings of a unit, each as a whole."""
    if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
        yield text_of(node, constants)
        return
    for child in ast.iter_child_nodes(node):
        yield from strings(child, constants)


def without_tenant(module: str, tree: ast.Module) -> Iterator[str]:
    shared = {k: v for k, v in vars(importlib.import_module(module)).items() if isinstance(v, str)}
    for name, unit in units(tree):
        local = {
            ast.unparse(node.targets[0]): text_of(node.value, shared)
            for node in ast.walk(unit)
            if isinstance(node, ast.Assign)
        }
        every = list(strings(unit, {**shared, **local}))
        for sql in filter(QUERY.search, every):
            condition = sql.partition("WHERE")[2]
            # A condition that is put together here may hold it in another string.
            read = " ".join(every) if "?" in condition.split()[:1] else condition
            if not re.search(r"\btenant\b", read):
                yield f"{module}.{name}"


def test_every_query_of_runs_and_threads_looks_for_the_tenant() -> None:
    queries = {
        name
        for module, tree in in_package("runs")
        if module != "runs.schema"
        for name in without_tenant(module, tree)
    }

    assert queries == set(OF_ALL_TENANTS)
