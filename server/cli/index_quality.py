"""`motet index calibrate` and `motet index eval`: questions put to an index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from config.errors import Invalid, NotFound
from config.settings import Settings
from indexes.quality.questions import read_questions
from server.cli.client import connect, follow_work
from server.cli.console import progress_bar, say
from server.cli.evaluation_plot import curve_svg


async def calibrate_index(
    settings: Settings, name: str, file: Path | None, refuse: float, console: Console
) -> dict[str, Any]:
    """Let the index choose its threshold, by the questions of a file or its own."""
    body: dict[str, Any] = {"refuse": refuse}
    if file is not None:
        body["questions"] = _read_questions(file)
    return await _ask(settings, f"/indexes/{name}/calibrate", body, console)


async def evaluate_index(
    settings: Settings, name: str, file: Path, k: int, plot: Path | None, console: Console
) -> dict[str, Any]:
    """Measure the index by the questions of a file; draw the curve where a file is named for it."""
    body = {"questions": _read_questions(file), "k": k}
    report = await _ask(settings, f"/indexes/{name}/eval", body, console)
    if plot is not None:
        plot.write_text(curve_svg(report))
    return report


def print_threshold(threshold: dict[str, Any], console: Console) -> None:
    """Print a threshold in two lines."""
    say(
        console,
        (f"threshold {threshold['value']:.3f}", "bold"),
        f", by {threshold['questions']} questions",
    )
    console.print(
        f"answers {threshold['answered']:.0%} of those that the documents answer, refuses "
        f"{threshold['refused']:.0%} of the others"
    )


def print_report(report: dict[str, Any], console: Console) -> None:
    """Print the measures of an index, one a line; those that no question was about are left out."""
    questions = ", ".join(f"{count} {kind}" for kind, count in report["questions"].items())
    say(console, (report["index"], "bold"), f": {questions}")
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


def _read_questions(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        raise NotFound(f"There is no file '{file}'.", code="file_not_found")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(f"{file} is not UTF-8 text.", code="invalid_questions") from error
    return [question.model_dump(mode="json") for question in read_questions(text, file.name)]


async def _ask(
    settings: Settings, path: str, body: dict[str, Any], console: Console
) -> dict[str, Any]:
    with progress_bar(console, "asking") as bar:
        async with connect(settings) as client:
            return await follow_work(
                client, path, lambda data: bar.update(data["done"], data["total"]), json=body
            )
