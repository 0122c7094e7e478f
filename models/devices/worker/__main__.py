"""`python -m models.devices.worker SYS`: prints what each vendor's driver tells, a line for each.

A line is written as soon as it is known, so that a driver that hangs hides no other's devices.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TextIO

from models.devices.raw import VENDORS, RawDevice

Find = Callable[[Path], Sequence[RawDevice]]


def main() -> None:
    root = Path(sys.argv[1])
    reports = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print to standard output when they please
    for vendor in VENDORS:
        _report(reports, vendor, root)
    reports.flush()
    os._exit(0)  # the drivers' own threads and exit handlers may hang


def _report(reports: TextIO, vendor: str, root: Path) -> None:
    devices: Sequence[RawDevice] = ()
    problem = ""
    try:
        find: Find = import_module(f"models.devices.worker.{vendor}").find
        with contextlib.redirect_stdout(sys.stderr):
            devices = find(root)
    except BaseException as error:  # amdsmi raises KeyError, others exit
        problem = str(error) or type(error).__name__
    line = {"vendor": vendor, "devices": [asdict(each) for each in devices], "problem": problem}
    print(json.dumps(line), file=reports, flush=True)


if __name__ == "__main__":
    main()
