"""The main job: a question about indexed documents, answered with citations that open."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from graphs.catalog import SHIPPED
from tests.support.handbook import PAGES, write_handbook
from tests.support.service import (
    add_documents,
    error_of,
    new_thread,
    read_events,
    run_to_end,
    types_of,
)

ANSWERS = {
    "When does the harbour office open in the morning?": ("harbour.md", "six in the morning"),
    "Who built the lighthouse?": ("lighthouse.html", "Brandt"),
    "How often does the ferry to Holm island leave?": ("ferry.txt", "every forty minutes"),
}
UNANSWERED = (
    "What is the boiling point of tungsten?",
    "Who won the chess championship of 1972?",
)


@pytest.fixture(scope="module")
async def island(client: httpx.AsyncClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The handbook as an index of its own."""
    folder = write_handbook(tmp_path_factory.mktemp("island"))
    await client.post("/indexes", json={"name": "island"})
    await add_documents(client, "island", json={"folder": str(folder)})
    return "island"


@pytest.mark.parametrize("question", ANSWERS)
async def test_an_answer_cites_what_it_rests_on(
    question: str, client: httpx.AsyncClient, island: str
) -> None:
    source, words = ANSWERS[question]
    run = await run_to_end(client, "ask", {"question": question, "index": island})
    output = run["output"]
    assert words in " ".join(output["answer"].split())
    assert output["refused"] is False
    assert source in {citation["source"] for citation in output["citations"]}
    for citation in output["citations"]:
        await assert_resolves(client, citation)
        assert f"[{citation['n']}]" in output["answer"]


@pytest.mark.parametrize("question", UNANSWERED)
async def test_what_the_documents_do_not_hold_is_not_answered(
    question: str, client: httpx.AsyncClient, island: str
) -> None:
    output = (await run_to_end(client, "ask", {"question": question, "index": island}))["output"]
    assert output["refused"] is True
    assert "do not say" in output["answer"]
    assert output["citations"] == []


async def test_an_answer_is_streamed_step_by_step(client: httpx.AsyncClient, island: str) -> None:
    body = {"input": {"question": "Who built the lighthouse?", "index": island}}
    async with client.stream("POST", "/agents/ask/run", json=body) as stream:
        events = await read_events(stream)
    kinds = types_of(events)
    assert kinds[0] == "run.started"
    assert kinds[-1] == "run.finished"
    steps = [event["node"] for _, event in events if event["type"] == "step.started"]
    assert steps == ["search", "answer", "remember"]
    assert kinds.index("token") > kinds.index("step.finished")
    told = "".join(event["data"]["text"] for _, event in events if event["type"] == "token")
    assert told == events[-1][1]["data"]["output"]["answer"]
    chosen = [event["data"] for _, event in events if event["type"] == "model"]
    assert any(data.get("reason") for data in chosen)


async def test_an_unknown_index_fails_with_the_nearest_name(
    client: httpx.AsyncClient, island: str
) -> None:
    body = {"input": {"question": "Who?", "index": "iland"}, "stream": False}
    response = await client.post("/agents/ask/run", json=body)
    assert "Did you mean 'island'?" in error_of(response, 404, "index_not_found")["message"]


async def test_every_shipped_agent_describes_itself(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/agents")).json()
    shipped = [agent["name"] for agent in listed["agents"] if agent["origin"] == "shipped"]
    assert shipped == sorted(file.stem for file in SHIPPED.glob("*.yaml"))
    for name in shipped:
        shown = (await client.get(f"/agents/{name}")).json()
        assert shown["description"]
        assert shown["input_schema"]["properties"]
        assert shown["output_schema"]["properties"]
        assert (await client.get(shown["picture"])).text.startswith("<svg")


async def test_a_deep_question_is_answered_with_citations(
    client: httpx.AsyncClient, island: str
) -> None:
    input = {"question": "When does the harbour office open?", "index": island}
    output = (await run_to_end(client, "ask_deep", input))["output"]
    assert "six in the morning" in " ".join(output["answer"].split())
    for citation in output["citations"]:
        await assert_resolves(client, citation)


async def test_a_review_asks_until_the_person_approves(client: httpx.AsyncClient) -> None:
    input = {"task": "Announce the new hours.", "draft": "The harbour is open."}
    run = await run_to_end(client, "review", input)
    assert [item["value"]["show"] for item in run["interrupts"]] == [input]
    path = f"/runs/{run['run_id']}/resume"
    own = {"approved": False, "text": "The harbour opens at six."}
    asked = (await client.post(path, json={"answer": own, "stream": False})).json()
    assert asked["status"] == "waiting"
    wrong = await client.post(path, json={"answer": {"aproved": True}, "stream": False})
    assert wrong.status_code == 422, wrong.text
    answer = {"answer": {"approved": True}, "stream": False}
    done = (await client.post(path, json=answer)).json()
    assert done["output"] == {"text": "The harbour opens at six.", "approved": True}


async def test_a_chat_remembers_its_thread_and_answers_from_documents(
    client: httpx.AsyncClient, island: str
) -> None:
    thread_id = await new_thread(client)
    for message in ("Hello!", "Who built the lighthouse?"):
        input = {"message": message, "index": island}
        run = await run_to_end(client, "chat", input, thread_id=thread_id)
    assert "Brandt" in run["output"]["answer"]
    for citation in run["output"]["citations"]:
        await assert_resolves(client, citation)
    state = (await client.get(f"/threads/{thread_id}/state")).json()
    said = [message["content"] for message in state["values"]["messages"]]
    assert (said[0], said[2]) == ("Hello!", "Who built the lighthouse?")
    assert len(said) == 4


async def test_a_digest_reads_every_document(client: httpx.AsyncClient, island: str) -> None:
    run = await run_to_end(client, "digest", {"index": island})
    told = str(run["output"])
    for words in ("harbour office", "lighthouse", "ferry"):
        assert words in told


async def assert_resolves(client: httpx.AsyncClient, citation: dict[str, Any]) -> None:
    """The cited text stands in the source exactly where the citation says."""
    path = f"/indexes/{citation['index']}/documents/{citation['document']}"
    document = (await client.get(path)).json()
    assert document["text"][citation["start"] : citation["end"]] == citation["text"]
    source = citation["source"]
    if not source.endswith(".html"):
        assert PAGES[source][citation["start"] : citation["end"]] == citation["text"]
    span = {"start": citation["start"], "end": citation["end"], "hash": citation["hash"]}
    shown = (await client.get(f"{path}/citation", params=span)).json()
    assert (shown["text"], shown["changed"]) == (citation["text"], False)
