"""Guesses the encoding of text that does not name it and is not UTF-8. Imported
in workers alone.
"""

from __future__ import annotations

from charset_normalizer import from_bytes

LIKELY = (
    *("cp1252", "cp1250", "cp1251", "gb18030", "cp932", "big5", "cp949", "euc_jp", "koi8_r"),
    *("cp1253", "cp1254", "cp1255", "cp1256"),
)
"""The more used one first: it wins where the bytes alone leave both possible."""
SAMPLE_BYTES = 65_536
"""How much of a document tells its encoding; the time grows with it."""


def guess(data: bytes) -> str | None:
    """Return the likely encoding, told by the first part of `data`; None for what is no text."""
    sample = data[:SAMPLE_BYTES]
    if len(data) > SAMPLE_BYTES:  # do not cut a character in two
        sample = sample.rpartition(b"\n")[0] or sample
    matches = from_bytes(sample, cp_isolation=list(LIKELY))
    best = matches.best()
    if best is None:
        return None
    tied = {
        encoding
        for match in matches
        if (match.chaos, match.coherence) == (best.chaos, best.coherence)
        for encoding in match.could_be_from_charset
    }
    return next((encoding for encoding in LIKELY if encoding in tied), best.encoding)
