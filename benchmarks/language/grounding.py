"""Whether answers of small models to questions about documents are right, cited and supported.

`python -m benchmarks grounding --models=A --sets=papers,manual --agent=ask --sqlite=FOLDER`. The
sets are those of `questions/`; `sqlite` takes the folder of Debian's `sqlite3-doc`. An answer is
right that has the noted words and a citation which supports it. Each line of the report is a
question with its verdict and what it rests on; `--minutes` and `--resume` split a long one up.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import httpx

from benchmarks.language.files import LocalModel, find_models
from benchmarks.language.report import Report, add_options
from benchmarks.language.service import ObservedRun, declared_service, run_agent
from benchmarks.language.turns import DOCUMENTS
from benchmarks.measure import show
from benchmarks.server import ROOT
from indexes.quality.questions import Question, read_questions

QUESTIONS = Path(__file__).parent / "questions"
FOLDERS = {"papers": DOCUMENTS, "manual": ROOT / "docs"}
REPORT = Path(tempfile.gettempdir()) / "motet-grounding.jsonl"
BOUND = {"max_tokens": 256}

Verdict = Literal["right", "uncited", "wrong", "refused", "failed"]
"""Of an answer; "uncited" has the right words and nothing that supports them."""


async def main() -> None:
    """Print how many answers were right, and how many refusals; write the report."""
    parser = argparse.ArgumentParser(prog="benchmarks grounding")
    parser.add_argument("--models", default="", help="all that are here")
    parser.add_argument("--sets", default="papers,manual", help="of questions, with commas")
    parser.add_argument("--sqlite", type=Path, help="the folder of sqlite3-doc's pages")
    parser.add_argument("--agent", default="ask")
    add_options(parser, REPORT)
    chosen = parser.parse_known_args(sys.argv[1:])[0]
    folders = {**FOLDERS, "sqlite": chosen.sqlite} if chosen.sqlite else FOLDERS
    sets = {name: folders[name] for name in chosen.sets.split(",")}
    report = Report.of(chosen, "model", "agent", "set", "question")
    for model in find_models(chosen.models):
        await _try_model(model, chosen.agent, sets, report)
    _show(report)
    print(f"Each question, with what its answer rests on: {report.path}")


async def _try_model(
    model: LocalModel, agent: str, sets: Mapping[str, Path], report: Report
) -> None:
    declared = {model.name: model.in_worker(**BOUND)}
    folders = [str(folder.absolute()) for folder in sets.values()]
    async with declared_service(declared, {"chat": [model.name]}, folders) as (_, client):
        for name, folder in sets.items():
            pending = [
                each
                for each in read_set(name)
                if (model.name, agent, name, each.question) not in report
            ]
            if pending and not report.is_over():
                await _add_index(client, name, folder)
            for question in pending:
                if report.is_over():
                    return
                given = {"question": question.question, "index": name}
                run = await run_agent(client, agent, given)
                key = {"model": model.name, "agent": agent, "set": name}
                report.write(key | describe(question, run))


def read_set(name: str) -> Sequence[Question]:
    """Read a set of questions by its name."""
    file = QUESTIONS / f"{name}.jsonl"
    return read_questions(file.read_text(), file.name)


async def _add_index(client: httpx.AsyncClient, name: str, folder: Path) -> None:
    (await client.post("/indexes", json={"name": name})).raise_for_status()
    body = {"folder": str(folder.absolute())}
    (await client.post(f"/indexes/{name}/documents", json=body)).raise_for_status()


def describe(question: Question, run: ObservedRun) -> dict[str, Any]:
    """Return a line of the report."""
    return {
        "question": question.question,
        "kind": question.kind,
        "verdict": judge(question, run),
        "output": run.output,
        "error": dict(run.error),
        "warnings": run.data_of("warning"),
        "written": run.text,
        "seconds": run.seconds,
    }


def judge(question: Question, run: ObservedRun) -> Verdict:
    """Judge an answer; a refusal is the right one where the documents do not hold the answer."""
    if run.status != "finished":
        return "failed"
    output = run.output
    if output["refused"]:
        return "refused"
    if not question.answered_by(output["answer"]):
        return "wrong"
    supported = any(each["supported"] for each in output["citations"])
    return "right" if supported else "uncited"


def _show(report: Report) -> None:
    tally = Counter(
        (line["model"], line["agent"], line["set"], line["kind"] == "answerable", line["verdict"])
        for line in report
    )
    rows = []
    for key in dict.fromkeys(key[:3] for key in tally):
        answerable = {each: tally[*key, True, each] for each in get_args(Verdict)}
        others = {each: tally[*key, False, each] for each in get_args(Verdict)}
        rows.append(
            [
                *key,
                f"{answerable['right']} of {sum(answerable.values())}",
                *(answerable[each] for each in ("uncited", "wrong", "refused")),
                f"{others['refused']} of {sum(others.values())}",
            ]
        )
    titles = ["", "agent", "set", "right", "uncited", "wrong", "refused", "refusals that are right"]
    show("Questions about documents", titles, rows)
