from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.errors import Invalid, NotFound
from tests.support.tenants import TENANT
from tools.registry import PLAIN_TOOLS, ToolDeps, load_toolbox
from tools.spec import ToolContext

OWN = "def {name}() -> str:\n    'Mine.'\n    return 'mine'\nTOOLS = [{name}]\n"


class Shelf:
    """An index of one passage that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    async def __call__(
        self, names: list[str], query: str, *, limit: int, where: Any, tenant: str
    ) -> dict[str, Any]:
        self.asked.append((names, query, limit, where, tenant))
        return {"passages": [{"id": "p1", "text": "A passage."}]}


def test_every_shipped_tool_is_named_as_it_is_registered() -> None:
    box = load_toolbox(ToolDeps(search=Shelf()))
    assert box.names() == sorted(PLAIN_TOOLS)
    assert all(box.get(name).repeatable for name in box.names())
    assert [entry["name"] for entry in box.describe()] == box.names()
    assert box.problems == ()


async def test_search_uses_the_indexes_of_the_calling_tenant() -> None:
    shelf = Shelf()
    search = load_toolbox(ToolDeps(search=shelf)).get("search")
    found = await search.call({"query": "what"}, ToolContext(tenant="acme"))
    assert found == {"passages": [{"id": "p1", "text": "A passage."}]}
    await search.call({"query": "what", "index": "law", "limit": 2}, ToolContext(tenant=TENANT))
    assert shelf.asked == [
        (["docs"], "what", 5, None, "acme"),
        (["law"], "what", 2, None, "default"),
    ]


async def test_search_may_ask_several_indexes_and_choose_documents() -> None:
    shelf = Shelf()
    search = load_toolbox(ToolDeps(search=shelf)).get("search")
    where = {"year": {"gte": 2020}}
    await search.call(
        {"query": "what", "index": ["a", "b"], "where": where}, ToolContext(tenant=TENANT)
    )
    assert shelf.asked == [(["a", "b"], "what", 5, where, "default")]
    wrongs: list[dict[str, Any]] = [{"index": []}, {"index": 3}, {"where": "year"}]
    for wrong in wrongs:
        with pytest.raises(Invalid):
            await search.call({"query": "what", **wrong}, ToolContext(tenant=TENANT))


async def test_user_tools_are_listed_beside_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN.format(name="mine"))
    box = load_toolbox(ToolDeps(search=Shelf()), tmp_path)
    assert await box.get("mine").call({}, ToolContext(tenant=TENANT)) == "mine"
    assert "calculate" in box.names()


def test_user_tool_with_a_taken_name_is_a_problem_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(OWN.format(name="clock"))
    (tmp_path / "b.py").write_text(OWN.format(name="mine"))
    (tmp_path / "c.py").write_text(OWN.format(name="mine"))
    box = load_toolbox(ToolDeps(search=Shelf()), tmp_path)
    assert box.get("clock").origin == "shipped"
    assert box.get("mine").origin == str(tmp_path / "b.py")
    assert [problem.details["file"] for problem in box.problems] == [
        str(tmp_path / "a.py"),
        str(tmp_path / "c.py"),
    ]


def test_an_unknown_tool_is_answered_with_the_nearest_and_what_is_broken(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")
    box = load_toolbox(ToolDeps(search=Shelf()), tmp_path)
    with pytest.raises(NotFound, match=r"Did you mean 'clock'.*broken\.py:1") as raised:
        box.get("klock")
    assert raised.value.code == "tool_not_found"


async def test_index_tool_adds_to_an_index_of_the_calling_tenant() -> None:
    added: list[tuple[Any, ...]] = []

    async def add(name: str, text: str, **how: Any) -> dict[str, Any]:
        added.append((name, text, how))
        return {"index": name, "document": "d1", "source": how["source"], "unchanged": False}

    index = load_toolbox(ToolDeps(search=Shelf(), add=add)).get("index")
    told = await index.call({"text": "Six.", "source": "hours"}, ToolContext(tenant="acme"))
    assert told["document"] == "d1"
    how = {"source": "hours", "title": None, "metadata": {}, "create": False, "tenant": "acme"}
    assert added == [("docs", "Six.", how)]
