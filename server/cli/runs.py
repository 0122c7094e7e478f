"""`motet runs`: what was left, and what becomes of it; beside a server and without one.

Without a server the runs are read in the data folder, under its lock, and nothing is executed but a
run that is resumed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import httpx
import orjson
import typer

from config.settings import Settings
from runs.record import RunStatus
from server.cli.client import connect, read_answer
from server.cli.command import AsJson, Home, out, run, settings_of
from server.cli.console import listing, say
from server.data_folder import lock_data_folder, server_address

if TYPE_CHECKING:
    from runs.stored_runs import StoredRuns

runs_app = typer.Typer(help="List runs, and cancel or resume what is left.", no_args_is_help=True)

RunIds = Annotated[list[str], typer.Argument(help="Ids of runs.", metavar="RUN_ID")]
UNENDED: tuple[RunStatus, ...] = ("queued", "running", "waiting")


class RunsAccess(Protocol):
    """A way to the runs of a data folder; runs are JSON, as the API shows them."""

    async def list(self, **filters: Any) -> list[dict[str, Any]]: ...

    async def show(self, run_id: str) -> dict[str, Any]: ...

    async def cancel(self, run_id: str) -> dict[str, Any]: ...


@runs_app.command("list")
def list_(
    status: Annotated[
        RunStatus | None, typer.Option(help="Only runs of this status. Default: those not ended.")
    ] = None,
    agent: Annotated[str | None, typer.Option(help="Only runs of this agent.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, of each status.")] = 50,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the runs that have not ended, newest first, or those of a status."""
    runs = run(_list(settings_of(home), status, agent, limit))
    if as_json:
        out.print_json(data={"runs": runs})
        return
    rows = ((each["run_id"], each["agent"], _status(each), each["created_at"]) for each in runs)
    out.print(listing(("run", "agent", "status", "created"), rows))


@runs_app.command()
def show(run_id: str, home: Home = None) -> None:
    """Show a run as JSON: status, input, output, error, open questions."""
    out.print_json(data=run(_show(settings_of(home), run_id)))


@runs_app.command()
def cancel(run_ids: RunIds, home: Home = None) -> None:
    """End runs that have not ended."""
    run(_cancel(settings_of(home), run_ids))


@runs_app.command()
def resume(
    run_ids: RunIds,
    answer: Annotated[
        str | None, typer.Option(help="The answer for a run that waits, as JSON or text.")
    ] = None,
    home: Home = None,
) -> None:
    """Let runs go on that are held, or that wait for an answer.

    Without a server this goes with each run until it ends or waits.
    """
    body = {} if answer is None else {"answer": _parse(answer)}
    run(_resume(settings_of(home), run_ids, body))


async def _list(
    settings: Settings, status: RunStatus | None, agent: str | None, limit: int
) -> list[dict[str, Any]]:
    async with _open_runs(settings) as runs:
        listed: list[dict[str, Any]] = []
        for each in UNENDED if status is None else (status,):
            listed += await runs.list(status=each, agent=agent, limit=limit)
        return sorted(listed, key=lambda each: str(each["created_at"]), reverse=True)


async def _show(settings: Settings, run_id: str) -> dict[str, Any]:
    async with _open_runs(settings) as runs:
        return await runs.show(run_id)


async def _cancel(settings: Settings, run_ids: list[str]) -> None:
    async with _open_runs(settings) as runs:
        for run_id in run_ids:
            _say_status(await runs.cancel(run_id))


async def _resume(settings: Settings, run_ids: list[str], body: dict[str, Any]) -> None:
    is_served = _is_served(settings)
    # A server of our own takes up what it is asked for alone.
    held = settings if is_served else settings.model_copy(update={"hold_runs": True})
    how = {"background": True} if is_served else {"stream": False}
    async with connect(held) as client:
        for run_id in run_ids:
            path = f"/runs/{run_id}/resume"
            _say_status(await read_answer(await client.post(path, json={**body, **how})))


class _ServerRuns:
    """Runs of a server."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def list(self, **filters: Any) -> list[dict[str, Any]]:
        params = {name: value for name, value in filters.items() if value is not None}
        listed = await read_answer(await self._client.get("/runs", params=params))
        runs: list[dict[str, Any]] = listed["runs"]
        return runs

    async def show(self, run_id: str) -> dict[str, Any]:
        shown: dict[str, Any] = await read_answer(await self._client.get(f"/runs/{run_id}"))
        return shown

    async def cancel(self, run_id: str) -> dict[str, Any]:
        answer = await self._client.post(f"/runs/{run_id}/cancel")
        cancelled: dict[str, Any] = await read_answer(answer)
        return cancelled


class _FolderRuns:
    """Runs of a data folder that no server has."""

    def __init__(self, runs: StoredRuns, tenant: str) -> None:
        self._runs = runs
        self._tenant = tenant

    async def list(self, **filters: Any) -> list[dict[str, Any]]:
        return [each.as_dict() for each in await self._runs.list(tenant=self._tenant, **filters)]

    async def show(self, run_id: str) -> dict[str, Any]:
        return (await self._runs.show(run_id, tenant=self._tenant)).as_dict()

    async def cancel(self, run_id: str) -> dict[str, Any]:
        return (await self._runs.cancel(run_id, tenant=self._tenant)).as_dict()


@asynccontextmanager
async def _open_runs(settings: Settings) -> AsyncIterator[RunsAccess]:
    if _is_served(settings):
        async with connect(settings) as client:
            yield _ServerRuns(client)
        return
    # Commands that only talk to a running server must not pay for these imports.
    from runs.stored_runs import open_stored_runs
    from server.tenants import LOCAL_TENANT

    with lock_data_folder(settings.home):
        async with open_stored_runs(settings.home / "runs.db", settings.durability) as runs:
            yield _FolderRuns(runs, LOCAL_TENANT)


def _is_served(settings: Settings) -> bool:
    return bool(settings.server_url or server_address(settings.home))


def _say_status(run: dict[str, Any]) -> None:
    """Say at once what became of a run: the next one may be refused."""
    say(out, f"Run {run['run_id']} is {run['status']}.")


def _status(run: dict[str, Any]) -> str:
    return f"{run['status']}, held" if run.get("held") else str(run["status"])


def _parse(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
