"""Every shipped agent with every language model that is here, ten turns each, judged.

`python -m benchmarks agents --models=A,B --agents=ask,chat --turns=10 --report=FILE`. The turns are
those of `turns.yaml`, about the texts in `documents`. Each line of the report is a turn with its
verdict and what it rests on: output, error, warnings, calls of tools. `--minutes` and `--resume`
split a long one up, as `report` says; a conversation that was broken off begins anew.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.language.files import LocalModel, find_models
from benchmarks.language.judging import Judgement, Outcome, Turn, judge
from benchmarks.language.report import Report, add_options
from benchmarks.language.service import declared_service
from benchmarks.language.turns import TurnRunner
from benchmarks.measure import show
from tests.real_models.catalog import WHISPER

TURNS = Path(__file__).parent / "turns.yaml"
REPORT = Path(tempfile.gettempdir()) / "motet-agents.jsonl"
BOUND = {"max_tokens": 256}
"""Of an answer: small models do not always end one."""
EARS = "bench-ears"


async def main() -> None:
    """Print a table of agents and models; write the report."""
    parser = argparse.ArgumentParser(prog="benchmarks agents")
    parser.add_argument("--models", default="", help="all that are here")
    parser.add_argument("--agents", default="", help="all that are shipped")
    parser.add_argument("--turns", type=int, default=10, help="of each agent")
    add_options(parser, REPORT)
    chosen = parser.parse_known_args(sys.argv[1:])[0]
    models = find_models(chosen.models)
    turns = list(read_turns(chosen.agents, chosen.turns))
    if not _find_ears(models[0]):
        print(f"Turns that are spoken are left out: {WHISPER.name} is not here.")
        turns = [turn for turn in turns if not turn.sound]
    report = Report.of(chosen, "model", "agent", "turn")
    for model in models:
        if pending := list_pending(turns, model.name, report):
            await _try_model(model, pending, report)
    _show(report)
    print(f"Each turn, with what it rests on: {report.path}")


def read_turns(agents: str = "", most: int = 10) -> Iterator[Turn]:
    """Read the set: all agents, or those of a list with commas."""
    chosen = [name for name in agents.split(",") if name]
    for agent, entries in yaml.safe_load(TURNS.read_text()).items():
        if not chosen or agent in chosen:
            for number, entry in enumerate(entries[:most], 1):
                yield Turn(agent=agent, number=number, **entry)


def list_pending(turns: Sequence[Turn], model: str, report: Report) -> list[Turn]:
    """List the turns that the report lacks, each conversation from its beginning."""
    missing = [turn for turn in turns if (model, turn.agent, turn.number) not in report]
    threads = {(turn.agent, turn.thread) for turn in missing if turn.thread}
    return [turn for turn in turns if turn in missing or (turn.agent, turn.thread) in threads]


async def _try_model(model: LocalModel, turns: Sequence[Turn], report: Report) -> None:
    if report.is_over():
        return
    declared = {model.name: model.in_worker(**BOUND), **_find_ears(model)}
    async with declared_service(declared, {"chat": [model.name]}) as (_, client):
        runner = TurnRunner(client, model.name)
        await runner.prepare()
        for turn in turns:
            if report.is_over():
                return
            outcome = await runner.run(turn)
            report.write(describe(turn, outcome, judge(turn, outcome)))


def _find_ears(model: LocalModel) -> dict[str, Any]:
    """Declare the model that hears, where its files are beside those of the others."""
    source = WHISPER.in_folder(model.file.parent)
    declared = {"task": "transcribe", "backend": "faster_whisper", "source": str(source.parent)}
    return {EARS: declared} if source.is_file() else {}


def describe(turn: Turn, outcome: Outcome, judgement: Judgement) -> dict[str, Any]:
    """Return a line of the report."""
    run = outcome.run
    return {
        "model": outcome.model,
        "agent": turn.agent,
        "turn": turn.number,
        "verdict": judgement.verdict,
        "reasons": list(judgement.reasons),
        "input": dict(turn.input),
        "said": turn.sound or turn.picture,
        "status": run.status,
        "output": run.output,
        "error": dict(run.error),
        "warnings": run.data_of("warning"),
        "tools": run.data_of("tool"),
        "written": run.text,
        "run_id": run.run_id,
        "seconds": run.seconds,
    }


def _show(report: Report) -> None:
    tally = Counter((line["agent"], line["model"], line["verdict"]) for line in report)
    verdicts = ("sound", "weak", "wrong")
    agents = list(dict.fromkeys(agent for agent, _, _ in tally))
    models = list(dict.fromkeys(model for _, model, _ in tally))
    rows = [
        [
            agent,
            *(" / ".join(str(tally[agent, model, each]) for each in verdicts) for model in models),
        ]
        for agent in agents
    ]
    show("Sound / weak / wrong", ["", *models], rows)
