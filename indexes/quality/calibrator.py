"""Calibrating an index: asking it, and choosing from which score on it answers."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from indexes.library import Indexes
from indexes.quality.calibration import Threshold
from indexes.quality.generated import FAR_QUESTIONS, GeneratedQuestion, generate_question
from indexes.quality.questions import Question
from indexes.quality.scoring import (
    LEAVE_OUT_OVERFETCH,
    READ_PASSAGES,
    Ask,
    QuestionProgress,
    ReportProgress,
    WriteQuestion,
    answer_question,
)
from indexes.quality.thresholds import ScoredQuestion, choose_threshold, measure_curve
from indexes.records import Passage

GENERATED_QUESTIONS = 40
TRIES_PER_QUESTION = 6
"""Passages looked at for each question that is wanted: many cannot be turned into one."""
DOCUMENTS_PER_PAGE = 1000
FEW_DOCUMENTS = 20
"""With fewer documents, sections are left out in place of whole documents."""
LEFT_OUT_PASSAGES = 10
"""What the first so many passages belong to is left out, that nothing left holds the answer."""
ANSWERED_ELSEWHERE_MARGIN = 0.02
"""Where leaving documents out costs less than this, others say the same."""
WORDING_DEDUCTION = 0.04
"""So much less a question scores in a person's words than in the documents' own: the difference of
the medians over the manual of a database, of answerable questions and of others."""


@dataclass(frozen=True, slots=True)
class _CalibrationTask:
    """A question to ask; without what stands where it was made, if it shall be unanswerable."""

    question: str
    kind: str
    without: Passage | None = None
    too_near: float = 0.0
    """What its score is too high by, for its wording."""


async def calibrate(
    indexes: Indexes,
    name: str,
    ask: Ask,
    questions: Sequence[Question] | None = None,
    *,
    refuse: float = 0.8,
    write: WriteQuestion | None = None,
    tenant: str = "default",
    tell: ReportProgress = lambda asked: None,
) -> Threshold:
    """Choose the index's threshold by `questions`, and keep it.

    Without questions, it makes its own of the index's passages: asked as they are they are
    answerable; asked while the documents that could answer are left out they are near and
    unanswerable; a shipped list is far. `write` words them where it can. Raises `Invalid`
    (`too_few_questions`).
    """
    few = len(await indexes.documents(name, tenant=tenant, limit=FEW_DOCUMENTS)) < FEW_DOCUMENTS
    if questions is None:
        tasks = await _generate_tasks(indexes, name, write, tenant)
    else:
        tasks = [_CalibrationTask(each.question, each.kind) for each in questions]
    scored: list[ScoredQuestion] = []
    for number, task in enumerate(tasks, start=1):
        score = await _score_task(indexes, name, ask, task, few, tenant)
        # One that scores as well as its twin before it is answered elsewhere too.
        if task.without is None or score <= scored[-1].score - ANSWERED_ELSEWHERE_MARGIN:
            scored.append(ScoredQuestion(score, task.kind))
        tell(QuestionProgress(number, len(tasks)))
    threshold = await _build_threshold(indexes, name, scored, refuse, questions is None, tenant)
    await indexes.set_threshold(name, threshold, tenant=tenant)
    return threshold


async def _build_threshold(
    indexes: Indexes,
    name: str,
    scored: Sequence[ScoredQuestion],
    refuse: float,
    own: bool,
    tenant: str,
) -> Threshold:
    best = choose_threshold(scored, refuse)
    return Threshold(
        value=best.threshold,
        fingerprint=(await indexes.get(name, tenant=tenant)).embedded_by,
        questions=len(scored),
        answered=best.answered,
        refused=best.refused,
        calibrated_at=time.time(),
        details={
            "refuse": refuse,
            "generated": own,
            "curve": [
                [each.threshold, each.answered, each.refused] for each in measure_curve(scored)
            ],
        },
    )


async def _score_task(
    indexes: Indexes, name: str, ask: Ask, task: _CalibrationTask, few: bool, tenant: str
) -> float:
    found = await indexes.search(
        name, task.question, limit=READ_PASSAGES + LEAVE_OUT_OVERFETCH, tenant=tenant
    )
    left = found if task.without is None else leave_out(found, task.without, few)
    said = await answer_question(ask, task.question, left[:READ_PASSAGES])
    return said.score - (task.too_near if left else 0.0)


def leave_out(found: Sequence[Passage], made_of: Passage, few: bool) -> list[Passage]:
    """What would be found if the documents that could answer were not there; half of those found
    stay in any case. With few documents, the same of their sections."""

    def unit(passage: Passage) -> tuple[str, ...]:
        return (passage.document, *(passage.heading if few else ()))

    units = list(dict.fromkeys(unit(passage) for passage in found))
    best = list(dict.fromkeys(unit(passage) for passage in found[:LEFT_OUT_PASSAGES]))
    out = {unit(made_of), *best[: len(units) // 2]}
    return [passage for passage in found if unit(passage) not in out]


async def _generate_tasks(
    indexes: Indexes, name: str, write: WriteQuestion | None, tenant: str
) -> list[_CalibrationTask]:
    tasks = []
    for made in await generate_questions(indexes, name, write, tenant):
        too_near = 0.0 if made.worded else WORDING_DEDUCTION
        tasks.append(_CalibrationTask(made.question, "answerable", None, too_near))
        tasks.append(_CalibrationTask(made.question, "near", made.passage, too_near))
    return [*tasks, *(_CalibrationTask(question, "far") for question in FAR_QUESTIONS)]


async def generate_questions(
    indexes: Indexes, name: str, write: WriteQuestion | None = None, tenant: str = "default"
) -> list[GeneratedQuestion]:
    """Questions made of the index's own passages; the same index gives the same ones."""
    chance = random.Random(name)
    made: dict[str, GeneratedQuestion] = {}
    for id in chance.sample(ids := await _sample_passage_ids(indexes, name, tenant), len(ids))[
        : GENERATED_QUESTIONS * TRIES_PER_QUESTION
    ]:
        if len(made) == GENERATED_QUESTIONS:
            break
        passage = (await indexes.passage(name, id, tenant=tenant)).passage
        if one := await _word_question(passage, write):
            made.setdefault(one.question, one)
    return list(made.values())


async def _word_question(passage: Passage, write: WriteQuestion | None) -> GeneratedQuestion | None:
    made = generate_question(passage)
    if made and write and (worded := await write(passage)):
        return GeneratedQuestion(worded, made.answer, passage, worded=True)
    return made


async def _sample_passage_ids(indexes: Indexes, name: str, tenant: str) -> list[str]:
    """The ids of passages: of each document some, so that no large one has all the questions."""
    found: list[str] = []
    offset = 0
    while documents := await indexes.documents(
        name, tenant=tenant, limit=DOCUMENTS_PER_PAGE, offset=offset
    ):
        for document in documents:
            step = max(1, document.passages // GENERATED_QUESTIONS)
            found += [f"{document.id}.{number}" for number in range(0, document.passages, step)]
        offset += DOCUMENTS_PER_PAGE
    return found
