"""`motet check`: files that people write, checked without a service.

Owns which kind of file is which, and how problems are printed. What is wrong is found by the
readers of the files, and by `graphs.loading.outside` for what agents name outside themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.text import Text

from config.errors import MotetError, NotFound
from config.settings import Settings, load_settings
from config.yaml_reader import read_yaml
from graphs.catalog import Catalog
from graphs.loading.outside import Surroundings, list_missing
from indexes.quality.questions import read_questions
from server.adapters.declarations import check_indexes_file, check_models_file
from server.adapters.surroundings import read_surroundings

TENANT = "default"
Kind = Literal["agent", "models", "indexes", "settings", "questions"]
NAMES: Mapping[str, Kind] = {"models": "models", "indexes": "indexes", "motet": "settings"}
"""What a file is by its name; any other is known by what stands in it."""
MODELS_KEYS = frozenset(("models", "roles", "backends", "environments", "memory_cap_bytes"))
SUFFIXES = (".yaml", ".yml", ".py")


@dataclass(frozen=True)
class Report:
    """What is wrong with a file, each problem as JSON, or in `good` what it is."""

    file: Path
    problems: Sequence[Mapping[str, Any]] = ()
    good: str = ""


def check_files(settings: Settings, files: Sequence[Path], console: Console) -> bool:
    """Print every problem of files, and of the files in folders; gives whether there is none.

    Raises `NotFound` (`file_not_found`) for one that is not there.
    """
    checker = _Checker(settings)
    reports = [checker.check(file) for file in _expand(files)]
    for report in reports:
        _print(report, console)
    return not any(report.problems for report in reports)


class _Checker:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def check(self, file: Path) -> Report:
        try:
            match _kind_of(file):
                case "models":
                    problems = check_models_file(self._settings, file)
                    return Report(file, problems, "a file of models")
                case "indexes":
                    problems = check_indexes_file(self._settings, file)
                    return Report(file, problems, "a file of indexes")
                case "settings":
                    load_settings(file)
                    return Report(file, good="a file of settings")
                case "questions":
                    count = len(read_questions(file.read_text("utf-8"), file.name))
                    return Report(file, good=f"a list of {count} questions")
                case "agent":
                    return self._check_agent(file)
        except MotetError as error:
            return Report(file, error.details.get("problems") or [_describe(error)])

    def _check_agent(self, file: Path) -> Report:
        agent = self._catalog.read(file)
        problems = [*self._check_name(file, agent.name), *list_missing(agent, self._around)]
        return Report(file, problems, f"agent '{agent.name}'")

    def _check_name(self, file: Path, name: str) -> list[dict[str, Any]]:
        """Check that the folder of agents takes a file of its own: under its agent's name alone."""
        folder = self._settings.agents_folder
        if file.stem == name or file.resolve().parent != folder.resolve():
            return []
        message = f"the file of agent '{file.stem}' must name it so, not '{name}'."
        return [{"field": "name", "message": message}]

    # Neither is read for a file of another kind.
    @cached_property
    def _catalog(self) -> Catalog:
        return Catalog(self._settings)

    @cached_property
    def _around(self) -> Surroundings:
        return read_surroundings(self._settings, TENANT)


def _kind_of(file: Path) -> Kind:
    if file.suffix == ".py":
        return "agent"
    if file.suffix in (".jsonl", ".json"):
        return "questions"
    if kind := NAMES.get(file.stem):
        return kind
    value = read_yaml(file.read_bytes()).value
    if isinstance(value, list) and any("question" in item for item in value if item):
        return "questions"
    keys = set(value) if isinstance(value, dict) else set()
    if keys & {"nodes", "input", "output"}:
        return "agent"
    if keys & MODELS_KEYS:
        return "models"
    return "indexes" if "indexes" in keys else "agent"


def _expand(files: Iterable[Path]) -> Iterator[Path]:
    """Yield the files, and of a folder those that it holds."""
    for file in files:
        if file.is_dir():
            held = [each for each in sorted(file.iterdir()) if _is_checked(each)]
            if not held:
                ends = ", ".join(SUFFIXES)
                raise NotFound(
                    f"The folder '{file}' holds no file to check: none ends in {ends}.",
                    code="file_not_found",
                )
            yield from held
        elif file.is_file():
            yield file
        else:
            raise NotFound(f"There is no file '{file}'.", code="file_not_found")


def _is_checked(file: Path) -> bool:
    return file.suffix in SUFFIXES and not file.name.startswith((".", "_"))


def _describe(error: MotetError) -> dict[str, Any]:
    """Give a reader's error in the shape of a problem: its message begins with where it is."""
    details = {key: error.details[key] for key in ("line", "field") if error.details.get(key)}
    if "line" not in details:
        named = re.compile(rf"{re.escape(str(error.details.get('file')))}[:,] ")
        return {"message": named.sub("", error.message, count=1)}
    where = f"{error.details.get('file')}:{details['line']}: "
    field = f"{details.get('field')}: "
    return {**details, "message": error.message.removeprefix(where).removeprefix(field)}


def _print(report: Report, console: Console) -> None:
    for problem in report.problems:
        position = ":".join(str(problem[key]) for key in ("line", "column") if problem.get(key))
        where = f"{report.file}:{position}: " if position else f"{report.file}: "
        field = f"{problem['field']}: " if problem.get("field") else ""
        hint = f" {problem['hint']}" if problem.get("hint") else ""
        line = Text.assemble((where, "red"), f"{field}{problem['message']}{hint}")
        console.print(line, soft_wrap=True)
    if not report.problems:
        console.print(f"{report.file}: {report.good} is well formed.", soft_wrap=True)
