"""The shipped agents do what they promise, with a language model and without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from config.errors import Unavailable
from config.settings import Settings
from graphs.agent import Agent
from graphs.catalog import Catalog
from graphs.run_context import RunContext
from models.refusal import REFUSAL
from tests.support.graph_runs import run
from tests.support.graphs import (
    FakeDocument,
    FakeIndexes,
    FakeModels,
    FakePassage,
    calling,
    chat,
    context,
)
from tools.json_schema.schema import JsonSchema
from tools.registry import ToolDeps, load_toolbox

QUESTION = {"question": "How do I start the service"}


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(Settings(agents=tmp_path))


@pytest.fixture
def indexes() -> FakeIndexes:
    return FakeIndexes(
        [
            FakePassage("p1", "Start the service with make serve. It listens.", start=10),
            FakePassage("p2", "The service stops by itself.", document="d2"),
        ],
        [
            FakeDocument("d1", "# Guide\n\nStart the service. It listens. It is fast. It ends."),
            FakeDocument("d2", "Stopping. It stops by itself.", title="Other"),
        ],
    )


def with_tools(used: RunContext, indexes: FakeIndexes) -> RunContext:
    async def search(names: list[str], query: str, **how: Any) -> dict[str, Any]:
        found = await indexes.search(names, query, **how)
        return {"passages": [passage.as_dict() for passage in found]}

    return replace(used, tools=load_toolbox(ToolDeps(search)))


def test_every_shipped_agent_is_well_formed(catalog: Catalog) -> None:
    assert catalog.problems() == []


def test_output_of_a_step_that_was_skipped_fits_its_schema(catalog: Catalog) -> None:
    interface = catalog.get("describe").interface
    output = interface.pick({})
    assert output["answer"] is None

    problem = JsonSchema(interface.output_schema).find_error_here(output)

    assert problem is None
    names = [agent.name for agent in catalog.list()]
    assert names == [
        *("ask", "ask_deep", "chat", "describe", "digest", "illustrate", "narrate", "review"),
        *("storybook", "voice_note"),
    ]
    assert all(len(agent.description) > 30 for agent in catalog.list())


async def test_ask_answers_with_citations(catalog: Catalog, indexes: FakeIndexes) -> None:
    transcript = await run(catalog.get("ask"), QUESTION, context("By make [1].", indexes=indexes))
    assert transcript.output["answer"] == "By make [1]."
    assert [(c["n"], c["document"]) for c in transcript.output["citations"]] == [(1, "d1")]
    assert indexes.searches[0]["name"] == "docs"


async def test_ask_answers_without_a_language_model(catalog: Catalog, indexes: FakeIndexes) -> None:
    transcript = await run(catalog.get("ask"), QUESTION, context(indexes=indexes))
    assert transcript.output["answer"] == "Start the service with make serve [1]"
    assert transcript.output["model"] == "reader"
    (citation,) = transcript.output["citations"]
    assert (citation["start"], citation["end"]) == (10, 43)


async def test_ask_deep_searches_several_ways_and_keeps_what_helps(
    catalog: Catalog, indexes: FakeIndexes
) -> None:
    model = chat('{"queries": ["service stops", "start"]}', '{"useful": [2]}', "It stops [1].")
    used = context(models=FakeModels({"chat": model}), indexes=indexes)
    transcript = await run(catalog.get("ask_deep"), QUESTION, used)
    assert transcript.output["queries"] == [QUESTION["question"], "service stops", "start"]
    assert {each["query"] for each in indexes.searches} == set(transcript.output["queries"])
    assert len(transcript.output["passages"]) == 1
    assert transcript.output["answer"] == "It stops [1]."
    assert transcript.output["citations"][0]["passage"] == transcript.output["passages"][0]["id"]


@pytest.mark.parametrize("grades", ["[40]", "[-1, 0]", "[3]"])
async def test_ask_deep_keeps_all_passages_when_no_grade_is_of_the_list(
    grades: str, catalog: Catalog, indexes: FakeIndexes
) -> None:
    model = chat('{"queries": ["start"]}', f'{{"useful": {grades}}}', "By make serve [1].")
    used = context(models=FakeModels({"chat": model}), indexes=indexes)

    transcript = await run(catalog.get("ask_deep"), QUESTION, used)

    assert len(transcript.output["passages"]) == 2
    assert transcript.output["refused"] is False


async def test_ask_deep_refuses_when_no_passage_helps(
    catalog: Catalog, indexes: FakeIndexes
) -> None:
    used = context('{"queries": ["start"]}', '{"useful": []}', "never asked", indexes=indexes)
    transcript = await run(catalog.get("ask_deep"), QUESTION, used)
    assert (transcript.output["refused"], transcript.output["citations"]) == (True, [])
    assert transcript.output["answer"] == "The documents do not say."
    assert "answer" not in transcript.steps
    nothing = await run(catalog.get("ask_deep"), QUESTION, context())
    assert nothing.output["refused"] is True


async def test_ask_deep_searches_the_question_itself_without_a_language_model(
    catalog: Catalog, indexes: FakeIndexes
) -> None:
    transcript = await run(catalog.get("ask_deep"), QUESTION, context(indexes=indexes))
    assert transcript.output["queries"] == [QUESTION["question"]]
    assert transcript.output["answer"] == "Start the service with make serve [1]"
    assert {event["code"] for event in transcript.kinds("warning")} == {"needs_language_model"}
    assert indexes.searches[0]["expand"] == "neighbours"


async def on_thread(agent: Agent, used: RunContext, *questions: str, **more: Any) -> list[Any]:
    graph = agent.compile(InMemorySaver())
    return [
        await run(agent, {"question": question, **more}, used, graph=graph)
        for question in questions
    ]


@pytest.mark.parametrize("name", ["ask", "ask_deep"])
async def test_a_follow_up_is_understood_by_rule_without_a_language_model(
    name: str, catalog: Catalog, indexes: FakeIndexes
) -> None:
    used = context(indexes=indexes)
    first, second, third = await on_thread(
        catalog.get(name), used, "How does the service start?", "And how does it stop?",
        "When was the lighthouse built?",
    )  # fmt: skip
    assert first.output["query"] == "How does the service start?"
    assert second.output["query"] == "And how does it stop? service start"
    assert third.output["query"] == "When was the lighthouse built?"
    assert second.output["query"] in {search["query"] for search in indexes.searches}
    assert "understand" not in first.steps


async def test_a_follow_up_is_rewritten_by_the_language_model(
    catalog: Catalog, indexes: FakeIndexes
) -> None:
    model = chat("By make [1].", "How does the service stop?", "By itself [1].")
    used = context(models=FakeModels({"chat": model}), indexes=indexes)
    first, second = await on_thread(catalog.get("ask"), used, QUESTION["question"], "And stop?")
    assert "understand" not in first.steps
    assert second.output["query"] == "How does the service stop?"
    rewriting, answering = model.asked[1:]
    assert "How do I start the service" in rewriting[-1].content
    assert "By make [1]." in rewriting[-1].content
    assert answering[-1].content.endswith("Question: How does the service stop?")


@pytest.mark.parametrize("rewritten", [REFUSAL, "It stops at noon.", "Where is the moon?"])
async def test_a_rewriting_that_asks_nothing_about_it_is_no_query(
    rewritten: str, catalog: Catalog, indexes: FakeIndexes
) -> None:
    model = chat("It listens [1].", rewritten, "By itself [2].")
    used = context(models=FakeModels({"chat": model}), indexes=indexes)

    _, second = await on_thread(
        catalog.get("ask"), used, "How does the service start?", "And how does it stop?"
    )

    assert second.output["query"] == "And how does it stop? service start"


async def test_a_refused_turn_is_no_query_of_the_next(
    catalog: Catalog, indexes: FakeIndexes
) -> None:
    no_rewriting = Unavailable("It only quotes.", code="needs_language_model")
    model = chat("It listens [1].", no_rewriting, REFUSAL, no_rewriting, "By itself [2].")
    used = context(models=FakeModels({"chat": model}), indexes=indexes)

    _, second, third = await on_thread(
        catalog.get("ask"), used, "How does the service start?", "Who built the lighthouse?",
        "And how does it stop?",
    )  # fmt: skip

    assert second.output["refused"] is True
    assert third.output["query"] == "And how does it stop? service start"


async def test_the_last_six_turns_are_remembered(catalog: Catalog, indexes: FakeIndexes) -> None:
    questions = [f"How does service number {n} start?" for n in range(8)]
    transcript = (await on_thread(catalog.get("ask"), context(indexes=indexes), *questions))[-1]
    assert [turn["question"] for turn in transcript.values["history"]] == questions[2:]


@pytest.mark.parametrize("name", ["ask", "ask_deep"])
async def test_questions_go_to_several_indexes_with_conditions(
    name: str, catalog: Catalog, indexes: FakeIndexes
) -> None:
    more = {"index": ["docs", "notes"], "where": {"language": "en"}}
    await run(catalog.get(name), {**QUESTION, **more}, context(indexes=indexes))
    assert indexes.searches[0]["name"] == ["docs", "notes"]
    assert indexes.searches[0]["where"] == {"language": "en"}


async def test_unsupported_answer_of_ask_is_marked(catalog: Catalog, indexes: FakeIndexes) -> None:
    used = context("Start the service with make serve [1]. It costs 12 coins [1] [7].",
                   indexes=indexes)  # fmt: skip
    transcript = await run(catalog.get("ask"), QUESTION, used)
    assert [check["supported"] for check in transcript.output["checks"]] == [True, False]
    assert transcript.output["checks"][1]["missing"] == ["12"]
    assert "[7]" not in transcript.output["answer"]


async def test_chat_remembers_the_conversation_and_uses_tools(
    catalog: Catalog, indexes: FakeIndexes
) -> None:
    model = chat(calling("calculate", expression="6 * 7"), "It is 42.", "I said 42.")
    used = with_tools(context(models=FakeModels({"chat": model})), indexes)
    agent = catalog.get("chat")
    graph = agent.compile(InMemorySaver())
    transcript = await run(agent, {"message": "6 * 7?"}, used, graph=graph)
    assert transcript.output["answer"] == "It is 42."
    transcript = await run(agent, {"message": "What did you say?"}, used, graph=graph)
    assert transcript.output["answer"] == "I said 42."
    asked = [message.type for message in model.asked[-1]]
    assert asked == ["system", "human", "ai", "tool", "ai", "human"]


async def test_chat_cites_what_it_searched(catalog: Catalog, indexes: FakeIndexes) -> None:
    used = with_tools(context(calling("search", query="start service"), "Run it [1]."), indexes)
    transcript = await run(catalog.get("chat"), {"message": "How to start?"}, used)
    assert transcript.output["citations"][0]["document"] == "d1"


async def test_chat_takes_several_messages_at_once(catalog: Catalog, indexes: FakeIndexes) -> None:
    model = chat("Yes.")
    used = with_tools(context(models=FakeModels({"chat": model})), indexes)
    talk = [{"role": "user", "content": "A?"}, {"role": "assistant", "content": "B."},
            {"role": "user", "content": "Sure?"}]  # fmt: skip
    await run(catalog.get("chat"), {"messages": talk}, used)
    assert [m.content for m in model.asked[0][1:]] == ["A?", "B.", "Sure?"]


async def test_chat_answers_from_the_documents_without_a_language_model(
    catalog: Catalog, indexes: FakeIndexes
) -> None:
    used = with_tools(context(indexes=indexes), indexes)
    transcript = await run(catalog.get("chat"), {"message": "start the service"}, used)
    assert transcript.output["answer"] == "Start the service with make serve [1]"
    assert [m.type for m in transcript.values["messages"]] == ["human", "ai"]


async def test_chat_understands_follow_ups_without_a_language_model(
    catalog: Catalog, indexes: FakeIndexes
) -> None:
    used = with_tools(context(indexes=indexes), indexes)
    agent = catalog.get("chat")
    graph = agent.compile(InMemorySaver())
    for message in ("How does the service start?", "And how does it stop?"):
        await run(agent, {"message": message}, used, graph=graph)
    queries = [search["query"] for search in indexes.searches]
    assert queries == ["How does the service start?", "And how does it stop? service start"]


async def test_chat_answers_a_greeting_that_no_document_holds(
    catalog: Catalog, indexes: FakeIndexes
) -> None:
    model = chat("", "Hello! Goats are splendid company for a family.")
    used = with_tools(context(models=FakeModels({"chat": model}), indexes=indexes), indexes)

    said = await run(catalog.get("chat"), {"message": "Hello! I start to keep goats."}, used)

    assert said.output["answer"] == "Hello! Goats are splendid company for a family."
    assert model.asked[-1][-1].content.endswith("Hello! I start to keep goats.")


async def review(agent: Agent, used: RunContext, input: Any, *answers: Any) -> Any:
    graph = agent.compile(InMemorySaver())
    transcript = await run(agent, input, used, graph=graph)
    for answer in answers:
        assert len(transcript.interrupts) == 1
        transcript = await run(agent, context=used, graph=graph, given=Command(resume=answer))
    return transcript


async def test_review_revises_until_it_is_approved(catalog: Catalog) -> None:
    model = chat("Draft one.", "Draft two.")
    used = context(models=FakeModels({"chat": model}))
    transcript = await review(
        catalog.get("review"), used, {"task": "Write."},
        {"approved": False, "feedback": "longer"}, {"approved": True},
    )  # fmt: skip
    assert transcript.output == {"text": "Draft two.", "approved": True}
    assert "Draft one." in model.asked[1][-1].content
    assert "longer" in model.asked[1][-1].content


async def test_review_ends_after_five_revisions(catalog: Catalog) -> None:
    no = {"approved": False, "feedback": "again"}
    transcript = await review(catalog.get("review"), context("D."), {"task": "Write."}, *[no] * 6)
    assert transcript.interrupts == []
    assert transcript.output == {"text": "D.", "approved": False}


async def test_review_takes_a_draft_and_a_text_of_ones_own_without_a_language_model(
    catalog: Catalog,
) -> None:
    transcript = await review(
        catalog.get("review"), context(), {"task": "Write.", "draft": "Mine."},
        {"approved": True, "text": "Better."},
    )  # fmt: skip
    assert transcript.output == {"text": "Better.", "approved": True}


async def test_digest_combines_summaries_of_all_documents(
    catalog: Catalog, indexes: FakeIndexes
) -> None:
    def answer(messages: Any) -> str:
        text = str(messages[-1].content)
        return "All of it." if text.startswith("Combine") else f"Summary {len(text) > 30}."

    used = context(answer, indexes=indexes)
    transcript = await run(catalog.get("digest"), {"focus": "service"}, used)
    assert transcript.output["digest"] == "All of it."
    assert [part["title"] for part in transcript.output["parts"]] == ["Guide", "Other"]
    assert transcript.output["parts"][0]["summary"] == "Summary True."


async def test_digest_takes_texts(catalog: Catalog) -> None:
    texts = ["First text. More.", {"title": "T", "text": "Second text."}]
    transcript = await run(catalog.get("digest"), {"texts": texts}, context("S."))
    assert [part["title"] for part in transcript.output["parts"]] == ["Text 1", "T"]


async def test_digest_quotes_and_says_so_without_a_language_model(
    catalog: Catalog, indexes: FakeIndexes
) -> None:
    transcript = await run(catalog.get("digest"), {}, context(indexes=indexes))
    assert transcript.output["method"] == "extract"
    assert transcript.output["digest"].startswith("Quotes from the documents")
    quotes = [part["summary"] for part in transcript.output["parts"]]
    assert quotes == ["Start the service. It listens. It is fast.", "Stopping. It stops by itself."]


async def test_digest_goes_on_when_a_document_cannot_be_read(
    catalog: Catalog, indexes: FakeIndexes
) -> None:
    indexes.deleted.append(FakeDocument("d3", "x"))

    transcript = await run(catalog.get("digest"), {}, context(indexes=indexes))

    assert [bool(part) for part in transcript.output["parts"]] == [True, True, False]
    assert transcript.output["errors"][0]["code"] == "document_not_found"
