"""The threshold of an index, below which its documents do not hold the answer, as it is stored.

How it is found is `calibrator`'s matter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from indexes.storage.database import IndexDatabase


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold with what it did to the questions that it was found with.

    Of `questions` questions it let `answered` be answered (a share of those that the documents
    answer) and `refused` be refused (of those that they do not). It holds for the vectors of
    `fingerprint`; `details` is the calibrator's own.
    """

    value: float
    fingerprint: str | None = None
    questions: int = 0
    answered: float = 0.0
    refused: float = 0.0
    calibrated_at: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_threshold(database: IndexDatabase, id: str) -> Threshold | None:
    rows = database.rows("SELECT calibration FROM indexes WHERE id = ?", id)
    return Threshold(**json.loads(rows[0][0])) if rows and rows[0][0] else None


def set_threshold(database: IndexDatabase, id: str, threshold: Threshold | None) -> None:
    """Store a threshold in place of the present one; None removes that."""
    text = json.dumps(threshold.as_dict()) if threshold else None
    with database.transaction() as connection:
        connection.execute("UPDATE indexes SET calibration = ? WHERE id = ?", (text, id))
