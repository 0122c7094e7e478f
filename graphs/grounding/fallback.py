"""What becomes of an answer none of whose sentences has a source, or says anything new. Pure.

Owns the decision; the passages are weighed against the question as the embedded reader weighs them.
The cases, in the order in which they are tried:

1. It could not be compared: it stays.
2. It refuses or has no words, and the passages hold strong evidence: that is quoted in its place.
3. It refuses or has no words: it is a refusal, without markers.
4. It was to answer no question: it stays.
5. It says what no passage says, or what the question says and no more, and they hold enough
   evidence: that is quoted beside it.
6. They hold less, it cites none of them, and none says anything near to it: it is a refusal.
7. Else it stays, marked as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from graphs.grounding.citations import CheckedAnswer, cite_quotes
from graphs.grounding.claims import begins_refusal, remove_markers
from graphs.grounding.stopwords import ASKING, content_words
from graphs.grounding.support import Check
from models.backends.reader.evidence import Evidence
from models.backends.reader.quoting import quote_windows
from models.refusal import REFUSAL

Passages = Sequence[Mapping[str, Any]]

NEAR_COSINE = 0.5
"""Below it, a passage says nothing of what a sentence says, also in other words."""


def lacks_source(checks: Sequence[Check]) -> bool:
    """Tell whether no passage says any of the sentences, as far as they could be compared."""
    return not any(check.good or check.verdict == "unchecked" for check in checks)  # (1)


def repeats_question(checks: Sequence[Check], question: str) -> bool:
    """Tell whether no sentence has a word that the question has not.

    Small models turn a question round: "Which mode cannot be changed?" "The mode cannot be
    changed. [1]" A passage may well support that.
    """
    asserted = [check.claim.text for check in checks if check.claim.asserts]
    if not asserted or ASKING.isdisjoint(re.findall(r"\w+", question.casefold())):
        return False
    known = set(content_words(question))
    return all(known.issuperset(content_words(text)) for text in asserted)


def fall_back(
    answer: CheckedAnswer,
    checks: Sequence[Check],
    passages: Passages,
    evidence: Evidence,
    *,
    is_question: bool,
) -> CheckedAnswer:
    """Give an answer without a source evidence in place of it or beside it, or make it refuse."""
    asserted = [check for check in checks if check.claim.asserts]
    if answer.refused or _refuses(checks) or (is_question and not _words(answer)):
        return (
            _quote(answer, passages, evidence)  # (2)
            if evidence.strong
            else _refuse(answer, asserted)  # (3)
        )
    if not is_question:
        return answer  # (4)
    if evidence.enough:
        return _join(answer, _quote(answer, passages, evidence))  # (5)
    if asserted and not any(_comes_near(check) for check in asserted):
        return _refuse(answer, asserted)  # (6)
    return answer  # (7)


def _refuses(checks: Sequence[Check]) -> bool:
    """Tell whether an answer says that the documents do not hold it, and cites nothing else."""
    others = [check.claim for check in checks if not begins_refusal(check.claim.text)]
    return len(others) < len(checks) and not any(claim.cited for claim in others)


def _words(answer: CheckedAnswer) -> str:
    return re.sub(r"[\W_]+", "", remove_markers(answer.text))


def _comes_near(check: Check) -> bool:
    return bool(check.claim.cited) or (check.score or 0.0) >= NEAR_COSINE


def _refuse(answer: CheckedAnswer, asserted: Sequence[Check]) -> CheckedAnswer:
    """Refuse in the answer's own words, where it says no more than that."""
    removed = [
        check.claim.text for check in asserted if not begins_refusal(check.claim.text)
    ] or answer.removed
    text = REFUSAL if removed or not _words(answer) else remove_markers(answer.text)
    return CheckedAnswer(text, [], [], removed, answer.invented, refused=True)


def _quote(answer: CheckedAnswer, passages: Passages, evidence: Evidence) -> CheckedAnswer:
    pieces = list(quote_windows(passages, evidence.windows))
    spans = [piece.citation for piece in pieces if piece.citation]
    quote = cite_quotes("".join(piece.text for piece in pieces), passages, spans)
    score = round(evidence.score, 4)
    return replace(quote, removed=answer.removed, invented=answer.invented, score=score)


def _join(answer: CheckedAnswer, quote: CheckedAnswer) -> CheckedAnswer:
    first = len(answer.citations)
    checks = [
        {**check, "citations": [first + number for number in check["citations"]]}
        for check in quote.checks
    ]
    return replace(
        answer,
        text=f"{answer.text}\n\n{quote.text}",
        citations=[*answer.citations, *quote.citations],
        checks=[*answer.checks, *checks],
        score=quote.score,
    )
