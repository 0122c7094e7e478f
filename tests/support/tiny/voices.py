"""Voices for tests, loaded without a manager."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from models.catalog.spec import ModelSpec

MAKE = Path(__file__).with_name("make_voices.py")
ROOT = MAKE.parents[3]


def made(folder: Path) -> Path:
    """The folder, with the voices of `make_voices.py` in it."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-P", MAKE, folder], check=True, capture_output=True, env=env)
    return folder


def coqui(source: Path | str, **options: Any) -> ModelSpec:
    return ModelSpec(
        name="mine",
        task="speech",
        backend="coqui",
        source=str(source),
        options={"threads": 1, **options},
    )


def espeak(**options: Any) -> ModelSpec:
    return ModelSpec(name="mine", task="speech", backend="espeak", options=options)
