"""The commands of `motet index` that ask an index questions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from config.errors import Invalid, MotetError, NotFound, Unavailable
from config.settings import Settings
from indexes.quality.questions import read_questions
from server.cli.client import connect, events
from server.cli.console import say
from server.cli.evaluation_plot import curve_svg


async def calibrate_index(
    settings: Settings, name: str, file: Path | None, refuse: float, console: Console
) -> dict[str, Any]:
    """Let the index choose its threshold, by the questions of a file or its own."""
    body: dict[str, Any] = {"refuse": refuse}
    if file is not None:
        body["questions"] = _questions(file)
    return await _asked(settings, f"/indexes/{name}/calibrate", body, console)


async def evaluate_index(
    settings: Settings, name: str, file: Path, k: int, plot: Path | None, console: Console
) -> dict[str, Any]:
    """Measure the index by the questions of a file; draw the curve where a file is named for it."""
    body = {"questions": _questions(file), "k": k}
    report = await _asked(settings, f"/indexes/{name}/eval", body, console)
    if plot is not None:
        plot.write_text(curve_svg(report))
    return report


def print_threshold(found: dict[str, Any], console: Console) -> None:
    """A threshold in two lines."""
    say(
        console, (f"threshold {found['value']:.3f}", "bold"), f", by {found['questions']} questions"
    )
    console.print(
        f"answers {found['answered']:.0%} of those that the documents answer, refuses "
        f"{found['refused']:.0%} of the others"
    )


def print_report(report: dict[str, Any], console: Console) -> None:
    """The measures of an index, one a line; what no question asked about is left out."""
    asked = ", ".join(f"{count} {kind}" for kind, count in report["questions"].items())
    say(console, (report["index"], "bold"), f": {asked}")
    k = report["k"]
    for label, value in (
        (f"recall@{k}", report["recall"]),
        ("MRR", report["mrr"]),
        (f"answer within {k} passages", report["answer_found"]),
    ):
        if value is not None:
            console.print(f"{label}: {value:.3f}")
    counts = ", ".join(f"{count} {what}" for what, count in report["reader"].items() if count)
    console.print(f"reader at threshold {report['threshold']:.3f}: {counts or 'nothing to answer'}")
    for kind, share in report["refused"].items():
        console.print(f"refused of {kind} ones: {share:.0%}")


def _questions(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        raise NotFound(f"There is no file '{file}'.", code="file_not_found")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(f"{file} is not UTF-8 text.", code="invalid_questions") from error
    return [question.model_dump(mode="json") for question in read_questions(text, file.name)]


async def _asked(
    settings: Settings, path: str, body: dict[str, Any], console: Console
) -> dict[str, Any]:
    headers = {"Accept": "text/event-stream"}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("asking", total=None)
        async with connect(settings) as client:
            async with client.stream("POST", path, json=body, headers=headers) as response:
                async for event in events(response):
                    if event.type == "progress":
                        done, total = event.data["done"], event.data["total"]
                        bar.update(task, completed=done, total=total)
                    elif event.type == "failed":
                        raise MotetError.from_dict(event.data)
                    elif event.type == "finished":
                        return event.data
    raise Unavailable("The server ended the answer early.", code="invalid_response")
