"""The file of what models were measured to take, so that the next start decides by it.

`needs.json` holds the measurements of `scheduling.memory_estimates` by their keys. A file that
cannot be read or written costs the estimates of earlier starts, and nothing else.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from config.file_writer import FileWriter
from config.files import read_file, set_aside
from models.scheduling.memory_estimates import Measurement, MemoryEstimates

_FORMAT = TypeAdapter(dict[str, Measurement])


def load_estimates(file: Path) -> MemoryEstimates:
    """Read what earlier starts measured; nothing where there is no file.

    A file that cannot be read is set aside.
    """
    try:
        return MemoryEstimates(_FORMAT.validate_json(read_file(file)))
    except FileNotFoundError:
        pass
    except (OSError, ValidationError) as error:
        set_aside(file, type(error).__name__)
    return MemoryEstimates()


def save_estimates(writer: FileWriter, estimates: MemoryEstimates) -> None:
    """Begin to write the file if something has changed."""
    if not estimates.changed:
        return
    estimates.changed = False
    entries = {key: asdict(each) for key, each in estimates.measurements.items()}
    writer.write(json.dumps(entries))
