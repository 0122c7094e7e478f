"""Calibrating an index: asking it, and choosing from which score on it answers."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from indexes.asking import Ask, Asked, Tell, Write, answered, found_without
from indexes.calibration import Threshold
from indexes.generated import FAR, Made, made_of
from indexes.library import Indexes
from indexes.questions import Question
from indexes.records import Passage
from indexes.thresholds import Scored, choose, curve

OWN_QUESTIONS = 40
TRIES = 6
"""Passages looked at for each question that is wanted: many cannot be turned into one."""
PAGE = 1000
FEW_DOCUMENTS = 5
"""With fewer documents, a section is left out in place of a whole document."""


@dataclass(frozen=True, slots=True)
class _Task:
    """A question to ask; without what stands where it was made, if it shall be unanswerable."""

    question: str
    kind: str
    without: Passage | None = None


async def calibrate(
    indexes: Indexes,
    name: str,
    ask: Ask,
    questions: Sequence[Question] | None = None,
    *,
    refuse: float = 0.8,
    write: Write | None = None,
    tenant: str = "default",
    tell: Tell = lambda asked: None,
) -> Threshold:
    """Choose the index's threshold by `questions`, and keep it.

    Without questions, it makes its own of the index's passages: asked as they are they are
    answerable; asked while their document is left out they are near and unanswerable; a shipped
    list is far. `write` words them where it can. Raises `Invalid` (`too_few_questions`).
    """
    few = len(await indexes.documents(name, tenant=tenant, limit=FEW_DOCUMENTS)) < FEW_DOCUMENTS
    if questions is None:
        tasks = await _own(indexes, name, write, tenant)
    else:
        tasks = [_Task(each.question, each.kind) for each in questions]
    scored = []
    for number, task in enumerate(tasks, start=1):
        scored.append(Scored(await _score(indexes, name, ask, task, few, tenant), task.kind))
        tell(Asked(number, len(tasks)))
    threshold = await _threshold(indexes, name, scored, refuse, questions is None, tenant)
    await indexes.set_threshold(name, threshold, tenant=tenant)
    return threshold


async def _threshold(
    indexes: Indexes, name: str, scored: Sequence[Scored], refuse: float, own: bool, tenant: str
) -> Threshold:
    best = choose(scored, refuse)
    return Threshold(
        value=best.threshold,
        fingerprint=(await indexes.get(name, tenant=tenant)).embedded_by,
        questions=len(scored),
        answered=best.answered,
        refused=best.refused,
        calibrated_at=time.time(),
        details={
            "wished": refuse,
            "made_by_itself": own,
            "curve": [[each.threshold, each.answered, each.refused] for each in curve(scored)],
        },
    )


async def _score(
    indexes: Indexes, name: str, ask: Ask, task: _Task, few: bool, tenant: str
) -> float:
    def left_out(passage: Passage) -> bool:
        made = task.without
        same = made is not None and passage.document == made.document
        return same and (not few or (made is not None and passage.heading == made.heading))

    found = await found_without(indexes, name, task.question, left_out, tenant)
    return (await answered(ask, task.question, found)).score


async def _own(indexes: Indexes, name: str, write: Write | None, tenant: str) -> list[_Task]:
    tasks = []
    for made in await own_questions(indexes, name, write, tenant):
        tasks.append(_Task(made.question, "answerable"))
        tasks.append(_Task(made.question, "near", made.passage))
    return [*tasks, *(_Task(question, "far") for question in FAR)]


async def own_questions(
    indexes: Indexes, name: str, write: Write | None = None, tenant: str = "default"
) -> list[Made]:
    """Questions made of the index's own passages; the same index gives the same ones."""
    chance = random.Random(name)
    made: dict[str, Made] = {}
    for id in chance.sample(ids := await _passages(indexes, name, tenant), len(ids))[
        : OWN_QUESTIONS * TRIES
    ]:
        if len(made) == OWN_QUESTIONS:
            break
        passage = (await indexes.passage(name, id, tenant=tenant)).passage
        if one := await _made(passage, write):
            made.setdefault(one.question, one)
    return list(made.values())


async def _made(passage: Passage, write: Write | None) -> Made | None:
    made = made_of(passage)
    if made and write and (worded := await write(passage)):
        return Made(worded, made.answer, passage)
    return made


async def _passages(indexes: Indexes, name: str, tenant: str) -> list[str]:
    """The ids of passages: of each document some, so that no large one has all the questions."""
    found: list[str] = []
    offset = 0
    while documents := await indexes.documents(name, tenant=tenant, limit=PAGE, offset=offset):
        for document in documents:
            step = max(1, document.passages // OWN_QUESTIONS)
            found += [f"{document.id}.{number}" for number in range(0, document.passages, step)]
        offset += PAGE
    return found
