"""Codes of warnings: events of a run that goes on."""

from __future__ import annotations

from collections.abc import Mapping

from config.error_codes.kinds import ErrorCode

WARNINGS: Mapping[str, ErrorCode] = {
    "answer_unchecked": ErrorCode(
        "No embedding model was available to compare the answer with its sources.",
        "Make the role `embed` available, or read the answer with that in mind.",
    ),
    "citation_unknown": ErrorCode(
        "The answer cites passages that the model was not given.",
        "Treat those sentences as unsupported; a stronger model cites more reliably.",
    ),
    "weak_evidence": ErrorCode(
        "The best passages score below the index's threshold.",
        "Ask more precisely, add documents, or calibrate the index.",
    ),
}
