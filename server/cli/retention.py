"""`motet prune`: deleting what is older than the settings, or the options, say."""

from __future__ import annotations

from rich.console import Console

from config.settings import Settings
from server.cli.client import connect, read_answer
from server.cli.command import out, run
from server.cli.console import format_size

NAMES = ("runs_days", "threads_days", "artifacts_days", "keys_days")
"""Fields of the request, in the order of the options; each is a setting behind `keep_`."""

NOUNS = {
    "runs": "run",
    "threads": "thread",
    "artifacts": "artifact",
    "idempotency_keys": "idempotency key",
}
"""Counts of the answer, each with its word for one."""


def prune(
    settings: Settings, days: tuple[float | None, ...], dry_run: bool, console: Console | None
) -> None:
    """Prune by the options, or where none is given by the settings; without a console, as JSON."""
    chosen = dict(zip(NAMES, days, strict=True))
    if not any(each is not None for each in days):
        chosen = {name: getattr(settings, f"keep_{name}") for name in NAMES}
    pruned = run(_request(settings, {**chosen, "dry_run": dry_run}))
    if console is None:
        out.print_json(data=pruned)
        return
    console.print(f"{'Would delete' if dry_run else 'Deleted'}: {describe_pruned(pruned)}.")


def describe_pruned(pruned: dict[str, int]) -> str:
    """Say what was deleted, or would be, and what that gave back to the disk."""
    counted = [
        f"{pruned[name]} {noun}{'' if pruned[name] == 1 else 's'}"
        for name, noun in NOUNS.items()
        if pruned[name]
    ]
    if size_bytes := pruned["artifact_bytes"]:
        counted.append(f"{format_size(size_bytes)} of artifacts")
    if freed_bytes := pruned["freed_bytes"]:
        counted.append(f"{format_size(freed_bytes)} of the database")
    return ", ".join(counted) or "nothing"


async def _request(settings: Settings, body: dict[str, float | bool | None]) -> dict[str, int]:
    async with connect(settings) as client:
        answer: dict[str, int] = await read_answer(await client.post("/prune", json=body))
    return answer
