"""The file of what models were measured to take, so that the next start decides by it.

`needs.json` holds the measurements of `scheduling.memory_estimates` by their keys. A file that
cannot be read or written costs the estimates of earlier starts, and nothing else.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from models.scheduling.memory_estimates import Measurement, MemoryEstimates

log = logging.getLogger(__name__)

_FORMAT = TypeAdapter(dict[str, Measurement])


def load_estimates(file: Path) -> MemoryEstimates:
    """Read what earlier starts measured; nothing where there is no file, or a broken one."""
    try:
        return MemoryEstimates(_FORMAT.validate_json(file.read_bytes()))
    except FileNotFoundError:
        pass
    except (OSError, ValidationError) as error:
        log.warning("%s is not used: %s", file, error)
    return MemoryEstimates()


def save_estimates(file: Path, estimates: MemoryEstimates) -> None:
    """Write the file, whole or not at all, if something has changed; blocks."""
    if not estimates.changed:
        return
    estimates.changed = False
    new = file.with_suffix(".new")
    entries = {key: asdict(each) for key, each in estimates.measurements.items()}
    try:
        new.write_text(json.dumps(entries))
        os.replace(new, file)  # atomic: a crash leaves the old file or the new one
    except OSError as error:
        log.warning("what models need could not be remembered: %s", error)
