"""Calibrates an index: asks it questions, and chooses from which score on it answers.

Owns where questions come from and what is left out for unanswerable ones. Scores are the reader's
(`Ask`); which threshold parts them is `thresholds`' matter, where it is stored `calibration`'s.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from indexes.index import Index
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
from indexes.quality.searching import search_whole
from indexes.quality.thresholds import ScoredQuestion, choose_threshold, measure_curve
from indexes.records import Passage

GENERATED_QUESTIONS = 40
"""As many questions an index makes of its own passages."""
TRIES_PER_QUESTION = 6
"""Passages looked at for each question: many cannot be turned into one."""
DOCUMENTS_PER_PAGE = 1000
"""Listed at a time."""
FEW_DOCUMENTS = 20
"""With fewer documents, sections are left out in place of whole documents."""
LEFT_OUT_PASSAGES = 10
"""What the first so many passages belong to is left out, that nothing left holds the answer."""
ANSWERED_ELSEWHERE_MARGIN = 0.02
"""Where leaving documents out costs less than this, others say the same."""
WORDING_DEDUCTION = 0.04
"""So much less a question scores in a person's words than in the documents' own: the difference of
the medians over the manual of a database, of answerable questions and of others.
"""


@dataclass(frozen=True, slots=True)
class _CalibrationTask:
    """A question to ask; without what stands where it was made, if it shall be unanswerable."""

    question: str
    kind: str
    without: Passage | None = None
    too_near: float = 0.0
    """What its score is too high by, for its wording."""


async def calibrate(
    index: Index,
    ask: Ask,
    questions: Sequence[Question] | None = None,
    *,
    refuse: float = 0.8,
    write: WriteQuestion | None = None,
    report_progress: ReportProgress = lambda progress: None,
) -> Threshold:
    """Choose the index's threshold by `questions`, and store it.

    Without questions, it makes its own of the index's passages: asked as they are they are
    answerable; asked while the documents that could answer are left out they are near and
    unanswerable; a shipped list is far. `write` words them where it can. `refuse` is the share of
    unanswerable questions to refuse. Takes a search and an answer for each question, one after the
    other. Raises `Invalid` (`too_few_questions`).
    """
    documents = await index.list_documents(limit=FEW_DOCUMENTS)
    by_section = len(documents) < FEW_DOCUMENTS
    tasks = await _choose_tasks(index, questions, write)
    scored: list[ScoredQuestion] = []
    for number, task in enumerate(tasks, start=1):
        score = await _score_task(index, ask, task, by_section)
        # A near question follows its answerable twin. Where it scores as well without the twin's
        # document, other documents answer it too: it is not unanswerable, and not counted.
        if task.without is None or score <= scored[-1].score - ANSWERED_ELSEWHERE_MARGIN:
            scored.append(ScoredQuestion(score, task.kind))
        report_progress(QuestionProgress(number, len(tasks)))
    threshold = await _build_threshold(index, scored, refuse, questions is None)
    await index.set_threshold(threshold)
    return threshold


async def _choose_tasks(
    index: Index,
    questions: Sequence[Question] | None,
    write: WriteQuestion | None,
) -> list[_CalibrationTask]:
    if questions is None:
        return await _generate_tasks(index, write)
    return [_CalibrationTask(each.question, each.kind) for each in questions]


async def _build_threshold(
    index: Index,
    scored: Sequence[ScoredQuestion],
    refuse: float,
    generated: bool,
) -> Threshold:
    effect = choose_threshold(scored, refuse)
    return Threshold(
        value=effect.threshold,
        fingerprint=(await index.describe()).embedded_by,
        questions=len(scored),
        answered=effect.answered,
        refused=effect.refused,
        calibrated_at=time.time(),
        details={
            "refuse": refuse,
            "generated": generated,
            "curve": [
                [each.threshold, each.answered, each.refused] for each in measure_curve(scored)
            ],
        },
    )


async def _score_task(index: Index, ask: Ask, task: _CalibrationTask, by_section: bool) -> float:
    passages = await search_whole(index, task.question, READ_PASSAGES + LEAVE_OUT_OVERFETCH)
    remaining = passages if task.without is None else leave_out(passages, task.without, by_section)
    answer = await answer_question(ask, task.question, remaining[:READ_PASSAGES])
    return answer.score - (task.too_near if remaining else 0.0)


def leave_out(passages: Sequence[Passage], origin: Passage, by_section: bool) -> list[Passage]:
    """Drop what could answer: the `origin`'s document and those of the best passages.

    Half of the documents stay in any case. `by_section` does the same with their sections, for an
    index of few documents.
    """

    def unit(passage: Passage) -> tuple[str, ...]:
        return (passage.document, *(passage.heading if by_section else ()))

    units = list(dict.fromkeys(unit(passage) for passage in passages))
    best = list(dict.fromkeys(unit(passage) for passage in passages[:LEFT_OUT_PASSAGES]))
    left_out = {unit(origin), *best[: len(units) // 2]}
    return [passage for passage in passages if unit(passage) not in left_out]


async def _generate_tasks(index: Index, write: WriteQuestion | None) -> list[_CalibrationTask]:
    tasks = []
    for generated in await generate_questions(index, write):
        too_near = 0.0 if generated.worded else WORDING_DEDUCTION
        tasks.append(_CalibrationTask(generated.question, "answerable", None, too_near))
        tasks.append(_CalibrationTask(generated.question, "near", generated.passage, too_near))
    return [*tasks, *(_CalibrationTask(question, "far") for question in FAR_QUESTIONS)]


async def generate_questions(
    index: Index, write: WriteQuestion | None = None
) -> list[GeneratedQuestion]:
    """Make questions of the index's own passages; the same index gives the same ones."""
    chance = random.Random(index.name)
    questions: dict[str, GeneratedQuestion] = {}
    for id in chance.sample(ids := await _sample_passage_ids(index), len(ids))[
        : GENERATED_QUESTIONS * TRIES_PER_QUESTION
    ]:
        if len(questions) == GENERATED_QUESTIONS:
            break
        passage = (await index.get_passage(id)).passage
        if question := await _word_question(passage, write):
            questions.setdefault(question.question, question)
    return list(questions.values())


async def _word_question(passage: Passage, write: WriteQuestion | None) -> GeneratedQuestion | None:
    generated = generate_question(passage)
    if generated and write and (worded := await write(passage)):
        return GeneratedQuestion(worded, generated.answer, passage, worded=True)
    return generated


async def _sample_passage_ids(index: Index) -> list[str]:
    """List ids of passages: of each document some, so that no large one has all the questions."""
    ids: list[str] = []
    offset = 0
    while documents := await index.list_documents(limit=DOCUMENTS_PER_PAGE, offset=offset):
        for document in documents:
            step = max(1, document.passages // GENERATED_QUESTIONS)
            ids += [f"{document.id}.{number}" for number in range(0, document.passages, step)]
        offset += DOCUMENTS_PER_PAGE
    return ids
