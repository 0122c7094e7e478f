"""Queries of saved versions of agents: their sources, as they were."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple

from runs.database import RunDatabase, Statement
from runs.rows import json_text, load_json


class SavedVersion(NamedTuple):
    """One version of an agent. `sources` holds YAML, `modules` Python, each by agent name."""

    name: str
    version: str
    sources: Mapping[str, str]
    modules: Mapping[str, str]
    created_at: float


COLUMNS = ", ".join(SavedVersion._fields)


class SavedVersions:
    """Reads and writes of versions. Names are those of agents, and versions hashes."""

    def __init__(self, database: RunDatabase) -> None:
        self._database = database

    def save(
        self, name: str, version: str, sources: Mapping[str, str], modules: Mapping[str, str]
    ) -> asyncio.Future[None]:
        """Store a version, unless it is stored; its time is that of the first save."""
        return self._database.write(
            Statement(
                f"INSERT INTO agent_versions ({COLUMNS}) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET modules = excluded.modules "
                "WHERE modules <> excluded.modules",
                (name, version, json_text(sources), json_text(modules), time.time()),
            )
        )

    def find(self, name: str, version: str) -> SavedVersion | None:
        """Return a version of an agent by its hash."""
        row = self._database.row(
            f"SELECT {COLUMNS} FROM agent_versions WHERE name = ? AND version = ?", (name, version)
        )
        return _load(row) if row else None

    async def list(self, name: str) -> list[SavedVersion]:
        """List the versions of an agent, the newest first."""
        rows = await self._database.rows(
            f"SELECT {COLUMNS} FROM agent_versions WHERE name = ?", (name,)
        )
        versions = map(_load, rows)  # in the order of their hashes
        return sorted(versions, key=lambda version: version.created_at, reverse=True)


def _load(row: tuple[object, ...]) -> SavedVersion:
    stored = SavedVersion._make(row)
    return stored._replace(
        sources=load_json(str(stored.sources)), modules=load_json(str(stored.modules))
    )
