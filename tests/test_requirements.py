"""The locked requirements say what pyproject.toml and constraints.txt say, with hashes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = ROOT / "requirements"
PIN = re.compile(r"^([\w.-]+)==([^\s;\\]+)(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = {name: needs for name, needs in PROJECT["optional-dependencies"].items() if name != "all"}


def pins(file: Path) -> dict[str, str]:
    """Read versions by name."""
    return {canonicalize_name(name): version for name, version, _ in PIN.findall(file.read_text())}


def locked(*parts: str) -> dict[str, str]:
    files = [LOCKS / f"{part}.txt" for part in ("torch", "service", *parts)]
    return {name: version for file in files for name, version in pins(file).items()}


def test_everything_that_is_locked_has_a_hash() -> None:
    without = [
        name
        for file in LOCKS.iterdir()
        for name, _, rest in PIN.findall(file.read_text())
        if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", rest)
    ]

    assert len(pins(LOCKS / "service.txt")) > 50
    assert without == []


def test_locked_versions_are_those_that_were_tested_together() -> None:
    tested = pins(ROOT / "constraints.txt")

    locks = {file.stem: pins(file) for file in LOCKS.iterdir()}

    other = {
        f"{name}=={version} in {lock}"
        for lock, versions in locks.items()
        for name, version in versions.items()
        # What PyTorch brings differs with the index that it is taken from.
        if tested.get(name) != version and not (lock == "torch" and name not in tested)
    }
    assert other == set()


@pytest.mark.parametrize(("part", "needs"), [("service", PROJECT["dependencies"]), *EXTRAS.items()])
def test_each_part_of_the_project_has_all_that_it_needs_locked(part: str, needs: list[str]) -> None:
    versions = locked(part)

    for need in map(Requirement, needs):
        assert need.specifier.contains(versions[canonicalize_name(need.name)]), need
