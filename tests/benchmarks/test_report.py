"""Reports of benchmarks that are split up."""

from __future__ import annotations

from pathlib import Path

from benchmarks.language.agents import list_pending
from benchmarks.language.judging import Turn
from benchmarks.language.report import Report

TURNS = [
    Turn("chat", 1, {}, thread="goats"),
    Turn("chat", 2, {}, thread="goats"),
    Turn("chat", 3, {}),
    Turn("ask", 1, {}),
]


def open_report(path: Path, *, resume: bool = True, minutes: float = 1.0) -> Report:
    return Report(path, ("model", "agent", "turn"), resume=resume, minutes=minutes)


def line(agent: str, turn: int, verdict: str = "sound") -> dict[str, object]:
    return {"model": "small", "agent": agent, "turn": turn, "verdict": verdict}


def test_resumed_report_has_what_was_written_before(tmp_path: Path) -> None:
    open_report(tmp_path / "r").write(line("ask", 1))

    report = open_report(tmp_path / "r")

    assert ("small", "ask", 1) in report
    assert ("small", "ask", 2) not in report
    assert ("small", "ask", 1) not in open_report(tmp_path / "r", resume=False)


def test_what_is_tried_again_counts_as_the_last_time(tmp_path: Path) -> None:
    report = open_report(tmp_path / "r")
    report.write(line("ask", 1, "wrong"))

    report.write(line("ask", 1))

    for each in (report, open_report(tmp_path / "r")):
        assert [entry["verdict"] for entry in each] == ["sound"]


def test_conversation_that_was_broken_off_begins_anew(tmp_path: Path) -> None:
    report = open_report(tmp_path / "r")
    report.write(line("chat", 1))
    report.write(line("chat", 3))

    assert list_pending(TURNS, "small", report) == [TURNS[0], TURNS[1], TURNS[3]]


def test_nothing_is_begun_after_the_minutes_of_a_sitting(tmp_path: Path) -> None:
    assert open_report(tmp_path / "r", minutes=-1).is_over()
    assert not open_report(tmp_path / "r").is_over()
