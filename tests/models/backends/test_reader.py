from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from config.errors import Unavailable
from config.settings import load_settings
from models.backends.reader import evidence
from models.backends.reader.chat import REFUSAL, ReaderChat
from models.capabilities import Embed, Vectors
from models.catalog.spec import ModelSpec
from models.manager import open_models
from tests.support.graphs import WordEmbed
from tests.support.tenants import TENANT

TEXT = (
    "# Loans\n\nBooks are lent for four weeks. A loan may be renewed twice. Renewing is done at "
    "the desk or online.\n\n# Fines\n\nA late book costs ten cents a day. The fine is never more "
    "than the book's price. Children pay no fines. The money buys new books."
)
OTHER = "The library opens at nine. It closes at six. On Sundays it is closed."


def passage(text: str, **more: Any) -> dict[str, Any]:
    return {"id": "p1", "document": "d1", "title": "Rules", "heading": [], "text": text, **more}


PASSAGES = [passage(OTHER, id="hours"), passage(TEXT, id="rules", start=100, title="Library")]


class UrgentEmbed(WordEmbed):
    """A bag of words that somebody waits for: the reader never asks for it as bulk work."""

    async def embed(self, texts: Sequence[str], *, urgent: bool = False) -> Vectors:
        assert urgent, "somebody waits for the answer"
        return await super().embed(texts)


@dataclass
class ReaderLease:
    """As much of a lease as the reader uses."""

    embed: Embed


@pytest.fixture
def words() -> UrgentEmbed:
    return UrgentEmbed()


@pytest.fixture
def reader(words: UrgentEmbed) -> ReaderChat:
    @asynccontextmanager
    async def lease() -> AsyncIterator[ReaderLease]:
        yield ReaderLease(words)

    return ReaderChat(name="reader", lease_embed=lease)


def ask(question: str, passages: Sequence[dict[str, Any]]) -> list[HumanMessage]:
    given = {"question": question, "passages": list(passages)}
    return [HumanMessage(f"{question}", additional_kwargs={"motet": given})]


async def test_the_answer_is_sentences_of_one_passage_each_with_its_number_and_span(
    reader: ReaderChat,
) -> None:
    question = "what fine does a late book cost a day, and is the fine never more than its price?"
    answer = await reader.ainvoke(ask(question, PASSAGES))
    told = answer.response_metadata
    assert told["refused"] is False
    assert told["model_name"] == "reader"
    assert len(told["citations"]) == 3
    for citation in told["citations"]:
        assert (citation["n"], citation["passage"]) == (2, "rules")
        assert TEXT[citation["start"] - 100 : citation["end"] - 100] == citation["text"]
        assert f"{citation['text']} [2]" in answer.text
    assert answer.text.startswith("A late book costs ten cents a day. [2] The fine")


async def test_an_answer_streams_a_sentence_at_a_time(reader: ReaderChat) -> None:
    pieces = [
        piece
        async for piece in reader.astream(
            ask("a late book costs what a day, is the fine never more than its price", PASSAGES)
        )
    ]
    spoken = [piece.text for piece in pieces if piece.text]
    assert len(spoken) == 3
    assert all(text.endswith("[2]") for text in spoken)
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    assert len(whole.response_metadata["citations"]) == 3
    assert whole.response_metadata["model_name"] == "reader"


async def test_weak_evidence_is_refused(reader: ReaderChat) -> None:
    answer = await reader.ainvoke(ask("how tall are giraffes?", PASSAGES))
    assert answer.text == REFUSAL
    told = answer.response_metadata
    assert (told["refused"], told["citations"]) == (True, [])
    assert told["score"] < evidence.ENOUGH


async def test_threshold_of_the_index_decides_whether_the_reader_answers(
    reader: ReaderChat,
) -> None:
    asked = ask("what fine does a late book cost a day?", PASSAGES)
    told = asked[0].additional_kwargs["motet"]
    score = (await reader.ainvoke(asked)).response_metadata["score"]
    for threshold, refused in ((score - 0.01, False), (score + 0.01, True), (-1.0, False)):
        told["threshold"] = threshold
        assert (await reader.ainvoke(asked)).response_metadata["refused"] is refused


@pytest.mark.parametrize("passages", [[], [passage("")], [passage("# Only a heading")]])
async def test_passages_without_sentences_are_refused_without_comparing(
    reader: ReaderChat, words: UrgentEmbed, passages: list[dict[str, Any]]
) -> None:
    answer = await reader.ainvoke(ask("what is the fine?", passages))
    assert (answer.text, answer.response_metadata["refused"]) == (REFUSAL, True)
    assert words.calls == []


async def test_everything_is_compared_in_one_call_of_bounded_size(
    reader: ReaderChat, words: UrgentEmbed
) -> None:
    many = [passage("A sentence with five words. " * 200, id=str(n)) for n in range(50)]
    await reader.ainvoke(ask("which sentence has five words", many))
    assert len(words.calls) == 1
    assert len(words.calls[0]) <= 1 + evidence.MAX_PASSAGES + evidence.MAX_WINDOWS


@pytest.mark.parametrize(
    "messages",
    [[HumanMessage("Write a poem.")], [AIMessage("I spoke.")], []],
    ids=["free", "no human", "nothing"],
)
async def test_asked_to_write_freely_it_says_how_to_get_a_language_model(
    reader: ReaderChat, messages: list[Any]
) -> None:
    with pytest.raises(Unavailable, match="motet models add") as caught:
        await reader.ainvoke(messages)
    assert caught.value.code == "needs_language_model"
    assert caught.value.permanent


async def test_tools_and_schemas_need_a_language_model(reader: ReaderChat) -> None:
    asked = ask("what is the fine?", PASSAGES)
    schema = {"title": "x", "type": "object", "properties": {}}
    with pytest.raises(Unavailable, match="call tools"):
        reader.bind_tools([])
    with pytest.raises(Unavailable, match="JSON"):
        reader.with_structured_output(schema)
    for wish in ({"tools": [schema]}, {"format": schema}, {"response_format": schema}):
        with pytest.raises(Unavailable):
            await reader.ainvoke(asked, **wish)


async def test_only_the_last_question_counts(reader: ReaderChat) -> None:
    earlier = ask("when does the library open?", PASSAGES)
    later = ask("how often may a loan of four weeks be renewed, books lent?", PASSAGES)
    answer = await reader.ainvoke([*earlier, AIMessage("At nine."), *later])
    assert "renewed twice" in answer.text


async def test_a_cancelled_answer_gives_its_lease_back() -> None:
    waiting, given_back = asyncio.Event(), asyncio.Event()

    class Never(UrgentEmbed):
        async def embed(self, texts: Sequence[str], *, urgent: bool = False) -> Vectors:
            waiting.set()
            await asyncio.Event().wait()
            raise AssertionError

    @asynccontextmanager
    async def lease() -> AsyncIterator[ReaderLease]:
        try:
            yield ReaderLease(Never())
        finally:
            given_back.set()

    reader = ReaderChat(name="reader", lease_embed=lease)
    call = asyncio.create_task(reader.ainvoke(ask("what is the fine?", PASSAGES)))
    async with asyncio.timeout(240):
        await waiting.wait()
        call.cancel()
        await given_back.wait()
    with pytest.raises(asyncio.CancelledError):
        await call


def test_no_window_spans_two_passages_or_a_heading() -> None:
    found = evidence.windows(PASSAGES)
    assert {window.passage for window in found} == {0, 1}
    for window in found:
        text = PASSAGES[window.passage]["text"]
        assert window.text in text
        assert "#" not in window.text
        assert not ("renewed" in window.text and "late" in window.text)


def test_a_heading_taken_from_html_is_no_sentence() -> None:
    text = "Renewing a loan at the library\n\nGo to the desk. Bring the book."
    known = passage(text, heading=["Renewing a loan at the library"])
    assert [window.text for window in evidence.windows([known])] == [
        "Go to the desk. Bring the book."
    ]


def test_fragments_come_along_without_counting() -> None:
    text = "Note\n\nOne is the first of all. Two is the second one. Three comes after these two."
    (window,) = evidence.windows([passage(text)])
    assert len(window.sentences) == 4


def test_a_name_that_no_passage_has_raises_the_bar() -> None:
    passages = [passage("The merge command joins two heads of history into one again.")]
    candidates = evidence.windows(passages)

    def enough(question: str) -> bool:
        score = evidence.ENOUGH + evidence.NAME_COST / 2
        found = evidence.best(question, passages, candidates, [score])
        assert found is not None
        return found.enough

    assert enough("How are two heads joined?")
    assert not enough("How are two heads joined in Mercurial?")
    assert enough("Mercurial begins this, as any word may?")
    assert not enough("PyTorch begins this, and is a name?")


@pytest.fixture(scope="module")
async def fallen_through(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[ReaderChat, ModelSpec]]:
    """The role `chat` of a machine without Ollama, with the real embedder behind it."""
    home: Path = tmp_path_factory.mktemp("home")
    settings = load_settings(home=home, ollama_url="http://127.0.0.1:9")
    async with (
        open_models(settings) as models,
        models.lease("chat", "chat", tenant=TENANT) as lease,
    ):
        assert isinstance(lease.chat, ReaderChat)
        yield lease.chat, lease.model


@pytest.mark.parametrize(
    ("question", "inside"),
    [
        ("How much do I pay if I bring a book back too late?", "ten cents"),
        ("Can I keep a book for longer than a month?", "renewed"),
        ("At what hour does the library open?", "nine"),
    ],
)
async def test_without_a_language_model_the_role_chat_reads(
    fallen_through: tuple[ReaderChat, ModelSpec], question: str, inside: str
) -> None:
    reader, model = fallen_through
    assert model.backend == "reader"
    answer = await reader.ainvoke(ask(question, PASSAGES))
    assert inside in answer.text


@pytest.mark.parametrize(
    "question", ["When should tomatoes be planted?", "Who won the world cup in 1998?"]
)
async def test_what_the_documents_do_not_say_is_refused(
    fallen_through: tuple[ReaderChat, ModelSpec], question: str
) -> None:
    reader, _ = fallen_through
    assert (await reader.ainvoke(ask(question, PASSAGES))).response_metadata["refused"]


def from_search(text: str, *quotes: tuple[str, float], **more: Any) -> dict[str, Any]:
    """A passage as a search gives it, 100 characters into its document."""
    spans = [
        {"start": 100 + text.index(each), "end": 100 + text.index(each) + len(each), "score": score}
        for each, score in quotes
    ]
    return passage(text, start=100, quotes=spans, **more)


async def test_what_the_search_found_nearest_is_quoted_without_comparing_again(
    reader: ReaderChat, words: UrgentEmbed
) -> None:
    late = "A late book costs ten cents a day."
    found = [from_search(OTHER, ("It closes at six.", 0.5), score=0.5),
             from_search(TEXT, (late, 0.8), score=0.7)]  # fmt: skip
    answer = await reader.ainvoke(ask("what does it cost?", found))
    assert answer.text == f"{late} [2]"
    (citation,) = answer.response_metadata["citations"]
    assert TEXT[citation["start"] - 100 : citation["end"] - 100] == citation["text"] == late
    assert answer.response_metadata["score"] == pytest.approx(0.6 * 0.8 + 0.4 * 0.7)
    assert words.calls == []


async def test_windows_nearly_as_good_as_the_best_are_quoted_too(reader: ReaderChat) -> None:
    quotes = ("Children pay no fines.", 0.77), ("Books are lent for four weeks.", 0.8)
    found = [from_search(OTHER, ("It closes at six.", 0.78), ("The library opens at nine.", 0.1),
                         score=0.6), from_search(TEXT, *quotes, score=0.6)]  # fmt: skip
    answer = await reader.ainvoke(ask("what are the rules?", found))
    assert answer.text == (
        "Books are lent for four weeks. [2]\n\nChildren pay no fines. [2]\n\nIt closes at six. [1]"
    )


def test_windows_that_overlap_are_quoted_once() -> None:
    (known,) = [from_search(OTHER, ("It closes at six. On Sundays it is closed.", 0.8),
                            ("The library opens at nine. It closes at six.", 0.8))]  # fmt: skip
    candidates, cosines = evidence.quoted([known])
    found = evidence.best("when is it closed?", [known], candidates, cosines)
    assert found is not None
    assert [window.text for window in found.windows] == [
        "It closes at six. On Sundays it is closed."
    ]
