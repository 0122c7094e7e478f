"""Models for calibrating and evaluating indexes: the embedded reader, and a language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexes.quality.scoring import ReaderAnswer
from indexes.records import Passage

if TYPE_CHECKING:
    from models.manager import Models

READER = "reader"
ACCEPT_ALL = -1.0
"""A threshold below every score: whether an answer is good enough is decided afterwards."""
PROMPT = (
    "Write one question that a person might ask and that this text answers. Use words of your own, "
    "not the text's. Answer with the question alone.\n\n{}"
)
MAX_TEXT_CHARS = 4000
MAX_QUESTION_CHARS = 300


@dataclass(frozen=True)
class ScoredReader:
    """Asks the embedded reader: `indexes.quality.scoring.Ask`."""

    models: Models
    tenant: str

    async def __call__(self, question: str, passages: Sequence[Passage]) -> ReaderAnswer:
        """Answer from the passages and give the score, however low it is."""
        # The import takes 0.3 s, which a server that evaluates nothing need not pay at its start.
        from langchain_core.messages import HumanMessage

        request = {
            "question": question,
            "passages": [passage.as_dict() for passage in passages],
            "threshold": ACCEPT_ALL,
        }
        message = HumanMessage(question, additional_kwargs={"motet": request})
        async with self.models.lease(READER, "chat", tenant=self.tenant) as lease:
            answer = await lease.chat.ainvoke([message])
        metadata = answer.response_metadata
        quoted = " ".join(citation["text"] for citation in metadata["citations"])
        return ReaderAnswer(quoted, float(metadata["score"]))


@dataclass(frozen=True)
class QuestionWriter:
    """Words questions by a language model: `indexes.quality.scoring.WriteQuestion`."""

    models: Models
    tenant: str

    async def __call__(self, passage: Passage) -> str | None:
        """Write a question that the passage answers; None where the model wrote none."""
        from langchain_core.messages import HumanMessage

        message = HumanMessage(PROMPT.format(passage.text[:MAX_TEXT_CHARS]))
        async with self.models.lease("chat", "chat", tenant=self.tenant) as lease:
            text = str((await lease.chat.ainvoke([message])).text).strip()
        first_line = text.split("\n")[0].strip(' "')
        is_question = first_line.endswith("?") and len(first_line) <= MAX_QUESTION_CHARS
        return first_line if is_question else None


async def find_question_writer(models: Models, tenant: str) -> QuestionWriter | None:
    """Look for the language model of the role `chat`; None where the reader is all there is."""
    chat = await models.resolve("chat", "chat")
    return None if chat.model.backend == READER else QuestionWriter(models, tenant)
