"""An index is calibrated and measured, and then refuses what its threshold says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from benchmarks.server import ServerProcess
from config.settings import load_settings
from server.cli.console import plain_console
from server.cli.index_quality import calibrate_index, evaluate_index, print_report, print_threshold
from tests.support.handbook import write_handbook
from tests.support.service import add_documents, error_of, run_to_end

DOCS = Path(__file__).parents[2] / "docs"
QUESTIONS: list[dict[str, Any]] = [
    {"question": "When does the harbour office open in the morning?",
     "answer": "six in the morning", "source": "harbour.md"},
    {"question": "Who built the lighthouse?", "answer": "Brandt", "source": "lighthouse.html"},
    {"question": "How often does the ferry to Holm island leave?",
     "answer": ["every forty minutes"], "source": "ferry.txt"},
    {"question": "Where is the harbour office to be found?", "source": "harbour.md"},
    {"question": "What does the ferry to Holm do?", "source": "ferry.txt"},
    *({"question": text, "kind": "far"} for text in (
        "What is the boiling point of tungsten?", "Who won the chess championship of 1972?",
        "How is sourdough bread kept fresh?", "What do pandas eat in the wild?",
        "Which composer wrote the opera Carmen?")),
]  # fmt: skip


@pytest.fixture(scope="module")
async def coast(client: httpx.AsyncClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The handbook as an index whose threshold may change."""
    folder = write_handbook(tmp_path_factory.mktemp("coast"))
    await client.post("/indexes", json={"name": "coast"})
    await add_documents(client, "coast", json={"folder": str(folder)})
    return "coast"


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "questions.jsonl"
    file.write_text("\n".join(json.dumps(each) for each in QUESTIONS))
    return file


async def test_an_index_answers_from_the_score_that_its_questions_chose(
    client: httpx.AsyncClient, coast: str
) -> None:
    response = await client.post(
        f"/indexes/{coast}/calibrate", json={"questions": QUESTIONS, "refuse": 1.0}
    )
    found = response.json()
    assert response.status_code == 200, response.text
    assert found["refused"] == 1.0
    assert found["answered"] >= 0.8
    assert found["questions"] == len(QUESTIONS)
    asked = {"question": "Who built the lighthouse?", "index": coast}
    assert (await run_to_end(client, "ask", asked))["output"]["refused"] is False
    # An index whose every question is unanswerable learns to refuse.
    strict = [{**each, "answerable": False, "kind": "near"} for each in QUESTIONS[:5]]
    await client.post(
        f"/indexes/{coast}/calibrate",
        json={"questions": [*QUESTIONS[:5], *strict], "refuse": 1.0},
    )
    output = (await run_to_end(client, "ask", asked))["output"]
    assert (output["refused"], output["citations"]) == (True, [])


@pytest.fixture(scope="module")
async def manual(client: httpx.AsyncClient) -> str:
    """Pages of Motet's own manual: enough to make questions of."""
    await client.post("/indexes", json={"name": "manual"})
    for page in ("agents.md", "runs.md", "indexes.md", "models.md", "http-api.md"):
        text = (DOCS / page).read_text()[:4_000]
        await add_documents(client, "manual", json={"text": text, "source": page})
    return "manual"


async def test_an_index_makes_questions_of_its_own(client: httpx.AsyncClient, manual: str) -> None:
    headers = {"accept": "text/event-stream"}
    events = []
    async with client.stream("POST", f"/indexes/{manual}/calibrate", headers=headers) as response:
        async for line in response.aiter_lines():
            if line.startswith("event: "):
                events.append(line[7:])
            elif line.startswith("data: "):
                last = orjson.loads(line[6:])
    assert set(events) == {"progress", "finished"}
    assert last["details"]["generated"] is True
    assert 0 < last["value"] < 1
    assert last["refused"] >= 0.8
    assert last["details"]["curve"]


async def test_an_index_is_measured(client: httpx.AsyncClient, coast: str) -> None:
    asked = {"questions": QUESTIONS}
    await client.post(f"/indexes/{coast}/calibrate", json=asked)
    response = await client.post(f"/indexes/{coast}/eval", json=asked)
    found = response.json()
    assert found["questions"] == {"answerable": 5, "far": 5}
    assert (found["recall"], found["answer_found"]) == (1.0, 1.0)
    assert sum(found["reader"].values()) == 5
    assert found["reader"]["right"] >= 2


async def test_the_command_line_calibrates_and_measures(
    server: ServerProcess, coast: str, questions: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    settings = load_settings(home=server.home)
    console = plain_console()
    found = await calibrate_index(settings, coast, questions, 0.8, console)
    print_threshold(found, console)
    picture = tmp_path / "curve.svg"
    report = await evaluate_index(settings, coast, questions, 5, picture, console)
    print_report(report, console)
    said = capsys.readouterr().out
    assert f"threshold {found['value']:.3f}" in said
    assert "recall@5: 1.000" in said
    assert report["threshold"] == found["value"]
    assert picture.read_text().startswith("<svg")


async def test_unusable_questions_are_refused(client: httpx.AsyncClient, coast: str) -> None:
    path = f"/indexes/{coast}"
    few = {"questions": QUESTIONS[:3]}
    error_of(await client.post(f"{path}/calibrate", json=few), 422, "too_few_questions")
    wrong = {"questions": [{"qestion": "?"}]}
    error_of(await client.post(f"{path}/eval", json=wrong), 422, "invalid_questions")
    asked = {"questions": QUESTIONS}
    error_of(await client.post("/indexes/coats/eval", json=asked), 404, "index_not_found")
