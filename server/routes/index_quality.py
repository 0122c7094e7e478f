"""Routes of an index's quality: calibrate its threshold, measure what it finds and answers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Response
from pydantic import ConfigDict, Field

from indexes.quality.calibration import Threshold
from indexes.quality.calibrator import calibrate
from indexes.quality.evaluation import Report, evaluate
from indexes.quality.questions import MAX_QUESTIONS, check_questions
from indexes.quality.scoring import ReportProgress
from models.backends.reader.evidence import ENOUGH
from server.adapters.index_quality import ScoredReader, find_question_writer
from server.http.access import CallerOf
from server.http.bodies import StrictBody, StrictRoute
from server.http.progress import respond
from server.services import ServicesOf

router = APIRouter(tags=["indexes"], route_class=StrictRoute)

Questions = Annotated[list[dict[str, Any]], Field(max_length=MAX_QUESTIONS, fail_fast=True)]
EXAMPLE_QUESTION: dict[str, Any] = {
    "question": "How long are books lent?",
    "answer": "four weeks",
    "source": "rules.md",
}


class CalibrateBody(StrictBody):
    """The questions, and how many of the unanswerable ones shall be refused."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"refuse": 0.8}]})

    questions: Questions | None = Field(
        None, description="`{question, answerable, ...}`; default: made of the index's passages."
    )
    refuse: float = Field(0.8, ge=0, le=1, description="The share of unanswerable ones to refuse.")


class EvaluateBody(StrictBody):
    """The questions, and how deep to look."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"questions": [EXAMPLE_QUESTION]}]})

    questions: Questions = Field(min_length=1)
    k: int = Field(10, ge=1, le=100, description="Measure the first so many passages.")


@router.post("/indexes/{name}/calibrate", response_class=Response)
async def calibrate_index(
    name: str,
    services: ServicesOf,
    caller: CallerOf,
    body: Annotated[CalibrateBody, Body()] = CalibrateBody(),  # noqa: B008
    accept: Annotated[str, Header()] = "*/*",
) -> Response:
    """Choose from which score on the index answers, by your questions or its own; keep it.

    With `Accept: text/event-stream`, events of progress come before the threshold.
    """
    index = await services.indexes.get(name, caller.tenant)
    questions = None if body.questions is None else check_questions(body.questions)

    async def work(report: ReportProgress) -> Threshold:
        return await calibrate(
            index,
            ScoredReader(services.models, caller.tenant),
            questions,
            refuse=body.refuse,
            write=await find_question_writer(services.models, caller.tenant),
            report_progress=report,
        )

    return await respond(work, accept, services.settings, f"calibrate {name}")


@router.post("/indexes/{name}/eval", response_class=Response)
async def evaluate_index(
    name: str,
    body: EvaluateBody,
    services: ServicesOf,
    caller: CallerOf,
    accept: Annotated[str, Header()] = "*/*",
) -> Response:
    """Measure what searches find and what the reader answers, refuses and gets wrong."""
    index = await services.indexes.get(name, caller.tenant)
    questions = check_questions(body.questions)

    async def work(report: ReportProgress) -> Report:
        return await evaluate(
            index,
            ScoredReader(services.models, caller.tenant),
            questions,
            default_threshold=ENOUGH,
            k=body.k,
            report_progress=report,
        )

    return await respond(work, accept, services.settings, f"evaluate {name}")
