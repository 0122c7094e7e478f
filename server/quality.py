"""What calibrating and evaluating an index ask of the models: the reader, and a language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from indexes.quality.scoring import Ask, ReaderAnswer, WriteQuestion
from indexes.records import Passage

if TYPE_CHECKING:
    from models.manager import Models

READER = "reader"
ANYTHING = -1.0
"""A threshold below every score: whether an answer is good enough is judged afterwards."""
WORDING = (
    "Write one question that a person might ask and that this text answers. Use words of your own, "
    "not the text's. Answer with the question alone.\n\n{}"
)
MAX_TEXT = 4000
MAX_QUESTION = 300


def reader_of(models: Models, tenant: str) -> Ask:
    """What the embedded reader answers, with its score, however low that is."""

    async def ask(question: str, passages: Sequence[Passage]) -> ReaderAnswer:
        # 0.3 s that a server which answers nothing need not pay at its start.
        from langchain_core.messages import HumanMessage

        given = {
            "question": question,
            "passages": [passage.as_dict() for passage in passages],
            "threshold": ANYTHING,
        }
        message = HumanMessage(question, additional_kwargs={"motet": given})
        async with models.lease(READER, "chat", tenant=tenant) as lease:
            answer = await lease.chat.ainvoke([message])
        told = answer.response_metadata
        said = " ".join(citation["text"] for citation in told["citations"])
        return ReaderAnswer(said, float(told["score"]))

    return ask


async def writer_of(models: Models, tenant: str) -> WriteQuestion | None:
    """Questions worded by the language model of the role `chat`; None where there is none."""
    if (await models.resolve("chat", "chat")).model.backend == READER:
        return None

    async def write(passage: Passage) -> str | None:
        from langchain_core.messages import HumanMessage

        message = HumanMessage(WORDING.format(passage.text[:MAX_TEXT]))
        async with models.lease("chat", "chat", tenant=tenant) as lease:
            said = str((await lease.chat.ainvoke([message])).text).strip()
        first = said.split("\n")[0].strip(' "')
        return first if first.endswith("?") and len(first) <= MAX_QUESTION else None

    return write
