"""`motet prune`: deleting what is older than the settings, or the options, say."""

from __future__ import annotations

from rich.console import Console

from config.settings import Settings
from server.cli.client import connect, read_answer
from server.cli.command import out, run

NAMES = ("runs_days", "threads_days", "artifacts_days", "keys_days")
"""Fields of the request, in the order of the options; each is a setting behind `keep_`."""


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
    counted = ", ".join(
        f"{number} {name.replace('_', ' ')}" for name, number in pruned.items() if number
    )
    console.print(f"{'Would delete' if dry_run else 'Deleted'}: {counted or 'nothing'}.")


async def _request(settings: Settings, body: dict[str, float | bool | None]) -> dict[str, int]:
    async with connect(settings) as client:
        answer: dict[str, int] = await read_answer(await client.post("/prune", json=body))
    return answer
