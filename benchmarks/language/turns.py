"""Runs turns: makes their pictures and sounds, keeps their threads, looks at their files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jsonschema

from benchmarks.language.judging import Outcome, Turn
from benchmarks.language.service import ObservedRun, resume_run, run_agent

DOCUMENTS = Path(__file__).parent / "documents"
INDEX = "papers"
INDEXED_AGENTS = frozenset({"ask", "ask_deep", "chat", "digest", "narrate", "voice_note"})
"""Agents that are told where to look."""
BEGINNINGS: Mapping[str, Sequence[bytes]] = {
    "image/png": (b"\x89PNG",),
    "image/jpeg": (b"\xff\xd8",),
    "audio/mpeg": (b"ID3", b"\xff\xfb", b"\xff\xf3"),
    "audio/wav": (b"RIFF",),
    "application/epub+zip": (b"PK",),
    "text/html": (b"<!doctype html", b"<!DOCTYPE html", b"<html"),
}
"""How files of a media type begin."""


class TurnRunner:
    """Runs the turns of one model on one service."""

    def __init__(self, client: httpx.AsyncClient, model: str) -> None:
        self._client = client
        self._model = model
        self._threads: dict[tuple[str, str], str] = {}
        self._schemas: dict[str, Any] = {}

    async def prepare(self) -> None:
        """Index the documents. Raises `HTTPStatusError`."""
        response = await self._client.post("/indexes", json={"name": INDEX})
        response.raise_for_status()
        body = {"folder": str(DOCUMENTS)}
        (await self._client.post(f"/indexes/{INDEX}/documents", json=body)).raise_for_status()

    async def run(self, turn: Turn) -> Outcome:
        """Run a turn, with a person's replies, and check its output and its files."""
        files = {"picture": ("bench_draw", turn.picture), "audio": ("bench_speak", turn.sound)}
        made = {key: await self._make(*made) for key, made in files.items() if made[1]}
        index = {"index": INDEX} if turn.agent in INDEXED_AGENTS else {}
        input = {**index, **turn.input, **made}
        run = await run_agent(self._client, turn.agent, input, **self._thread_of(turn))
        for reply in turn.replies:
            if run.status == "waiting":
                run = join(run, await resume_run(self._client, run.run_id, reply))
        faults = [problem async for problem in self._find_faults(turn.agent, run)]
        return Outcome(run, self._model, faults)

    def _thread_of(self, turn: Turn) -> dict[str, Any]:
        if not turn.thread:
            return {}
        thread = self._threads.setdefault((turn.agent, turn.thread), str(uuid4()))
        return {"thread_id": thread, "if_not_exists": "create"}

    async def _make(self, agent: str, prompt: str) -> Any:
        run = await run_agent(self._client, agent, {"prompt": prompt})
        if run.code:
            raise RuntimeError(f"{agent} failed: {run.error}")
        return run.output["file"]

    async def _find_faults(self, agent: str, run: ObservedRun) -> AsyncIterator[str]:
        numbers = [event["seq"] for event in run.events]
        if numbers != sorted(set(numbers)):
            yield "events out of order"
        if run.status != "finished":
            return
        schema = jsonschema.Draft202012Validator(await self._schema(agent))
        for problem in schema.iter_errors(run.output):
            yield f"the output does not fit its schema: {problem.message}"
        for file in find_files(run.output):
            if problem_of_file := await self._check_file(file):
                yield problem_of_file

    async def _schema(self, agent: str) -> Any:
        if agent not in self._schemas:
            response = await self._client.get(f"/agents/{agent}")
            self._schemas[agent] = response.json()["output_schema"]
        return self._schemas[agent]

    async def _check_file(self, file: Mapping[str, Any]) -> str:
        """Return what is wrong with a file that a run has made; empty for nothing."""
        response = await self._client.get(httpx.URL(str(file["url"])).raw_path.decode())
        if response.status_code != 200 or not response.content:
            return f"{file['url']} answers {response.status_code}"
        kind = str(file["media_type"])
        beginnings = BEGINNINGS.get(kind)
        if beginnings and not response.content.lstrip().startswith(tuple(beginnings)):
            return f"{file['url']} is no {kind}"
        return ""


def join(before: ObservedRun, after: ObservedRun) -> ObservedRun:
    """Join the parts of a run before and after an answer."""
    after.events[:0] = before.events
    after.begun_s = before.begun_s
    return after


def find_files(value: Any) -> Iterator[Mapping[str, Any]]:
    """Find the artifacts in an output, however deep."""
    if isinstance(value, Mapping):
        if "url" in value and "media_type" in value:
            yield value
        for each in value.values():
            yield from find_files(each)
    elif isinstance(value, list):
        for each in value:
            yield from find_files(each)
