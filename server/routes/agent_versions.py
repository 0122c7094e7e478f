"""Routes of the saved versions of agents: list, show, compare and bring back."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Mapping
from typing import Any, NamedTuple

from fastapi import APIRouter

from config.errors import Invalid, NotFound
from runs.record import timestamp
from server.http.access import CallerOf
from server.http.bodies import StrictRoute
from server.routes.agents import show_agent
from server.services import Services, ServicesOf

router = APIRouter(tags=["agents"], route_class=StrictRoute)

MAX_LINES = 20_000
"""Of the files of one version that are compared."""


class Files(NamedTuple):
    """The files of an agent and of those that it calls, by file name."""

    version: str
    texts: Mapping[str, str]


@router.get("/agents/{name}/versions")
async def list_versions(name: str, services: ServicesOf, caller: CallerOf) -> Any:
    """List the saved versions of an agent, newest first, also of one that is deleted."""
    current = await _find_current_version(name, services)
    return {
        "versions": [
            {
                "version": each.version,
                "created_at": timestamp(each.created_at),
                "current": each.version == current,
            }
            for each in await services.engine.agents.list(name)
        ]
    }


@router.get("/agents/{name}/versions/{version}")
async def show_version(name: str, version: str, services: ServicesOf, caller: CallerOf) -> Any:
    """Show the files of a version: the agent's own, and those of the agents that it calls."""
    saved = services.engine.agents.find_saved(name, version)
    return {
        "name": name,
        "version": version,
        "created_at": timestamp(saved.created_at),
        "files": _name_files(saved.sources, saved.modules),
    }


@router.get("/agents/{name}/versions/{version}/diff")
async def compare_versions(
    name: str,
    version: str,
    services: ServicesOf,
    caller: CallerOf,
    to: str | None = None,
) -> Any:
    """Compare a version with the one named `to`, or with the agent as it is now."""
    before = _files_of(name, version, services)
    if to is None:
        agent = await services.engine.agents.find(name)
        after = Files(agent.version, _name_files(agent.sources, agent.modules))
    else:
        after = _files_of(name, to, services)
    return {
        "from": before.version,
        "to": after.version,
        "diff": await asyncio.to_thread(compare, before, after),
    }


@router.post("/agents/{name}/versions/{version}/restore")
async def restore_version(name: str, version: str, services: ServicesOf, caller: CallerOf) -> Any:
    """Write a version into the agent's file again; the agents that it calls stay as they are."""
    agents = services.engine.agents
    saved = agents.find_saved(name, version)
    await agents.save_own()
    restore = services.catalog.restore
    agent = await asyncio.to_thread(restore, name, saved.sources, saved.modules)
    await agents.save(agent)
    return await show_agent(name, services, caller)


def compare(before: Files, after: Files) -> str:
    """Write what differs between two versions as a unified diff. Blocks.

    Raises `Invalid` (`too_large`) for files of very many lines.
    """
    parts: list[str] = []
    for name in sorted({*before.texts, *after.texts}):
        old, new = (files.texts.get(name, "").splitlines() for files in (before, after))
        if max(len(old), len(new)) > MAX_LINES:
            raise Invalid(f"{name} has more than {MAX_LINES} lines.", code="too_large")
        labels = f"{name}@{before.version}", f"{name}@{after.version}"
        parts += difflib.unified_diff(old, new, *labels, lineterm="")
    return "".join(f"{line}\n" for line in parts)


def _files_of(name: str, version: str, services: Services) -> Files:
    saved = services.engine.agents.find_saved(name, version)
    return Files(version, _name_files(saved.sources, saved.modules))


def _name_files(sources: Mapping[str, str], modules: Mapping[str, str]) -> dict[str, str]:
    yaml = {f"{name}.yaml": text for name, text in sources.items()}
    return yaml | {f"{name}.py": text for name, text in modules.items()}


async def _find_current_version(name: str, services: Services) -> str | None:
    try:
        return (await services.engine.agents.find(name)).version
    except (NotFound, Invalid):
        return None
