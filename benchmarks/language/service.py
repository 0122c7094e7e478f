"""A service that has declared language models, and runs as its clients see them."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson

from benchmarks.server import ROOT, ServerProcess

AGENTS = Path(__file__).parent / "agent_files"
USER_TOOLS = Path(__file__).parent / "user_tools"
TIMEOUT = httpx.Timeout(1800.0, connect=30.0)
NO_OLLAMA = "http://127.0.0.1:9"
"""Nothing answers there, so that only declared models are found."""
ENDS = ("finished", "failed", "cancelled", "waiting")

Watch = Callable[[Mapping[str, Any]], None]


@dataclass
class ObservedRun:
    """A run, by its events. `status` is empty where the stream broke off."""

    begun_s: float = field(default_factory=time.perf_counter)
    ended_s: float = 0.0
    """When its last event came."""
    status: str = ""
    output: Any = None
    error: Mapping[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    token_times_s: list[float] = field(default_factory=list)

    def add(self, event: dict[str, Any]) -> None:
        """Take in the next event, now."""
        self.events.append(event)
        data, kind = event.get("data") or {}, str(event["type"])
        self.ended_s = time.perf_counter()
        if kind == "token":
            self.token_times_s.append(time.perf_counter())
        if kind.startswith("run.") and kind[4:] in ENDS:
            self.status = kind[4:]
            self.output, self.error = data.get("output"), data.get("error") or {}

    @property
    def seconds(self) -> float:
        return round(max(0.0, self.ended_s - self.begun_s), 1)

    @property
    def run_id(self) -> str:
        return str(self.events[0]["run_id"]) if self.events else ""

    @property
    def code(self) -> str:
        """The error's code; empty for a run that has finished."""
        return "" if self.status == "finished" else str(self.error.get("code") or self.status)

    @property
    def text(self) -> str:
        """All that its models have written, as it was streamed."""
        return "".join(event["data"]["text"] for event in self.of_type("token"))

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def data_of(self, kind: str) -> list[dict[str, Any]]:
        return [event["data"] for event in self.of_type(kind)]


@asynccontextmanager
async def declared_service(
    models: Mapping[str, Any],
    roles: Mapping[str, Any] | None = None,
    folders: Sequence[str] = (),
) -> AsyncIterator[tuple[ServerProcess, httpx.AsyncClient]]:
    """Run a service with these models beside the shipped ones, and a client of it.

    Clients may name the `folders` beside those of the checkout.
    """
    with tempfile.TemporaryDirectory(prefix="motet-bench-") as folder:
        home = Path(folder)
        declared = {"version": 1, "models": models, "roles": roles or {}}
        (home / "models.yaml").write_text(json.dumps(declared))
        shutil.copytree(USER_TOOLS, home / "tools")
        server = ServerProcess(
            home,
            agents=str(AGENTS),
            folders=json.dumps([str(ROOT), *folders]),
            ollama_url=NO_OLLAMA,
            log_level="error",
            log=home / "log",
        )
        await server.start()
        try:
            async with httpx.AsyncClient(base_url=server.url, timeout=TIMEOUT) as client:
                yield server, client
        finally:
            await server.stop()


async def run_agent(
    client: httpx.AsyncClient, agent: str, input: Any, watch: Watch | None = None, **more: Any
) -> ObservedRun:
    """Run an agent to its end, or to its question; `watch` sees each event as it comes."""
    body = {"input": input, **more}
    return await _observe(client, f"/agents/{agent}/run", body, watch)


async def resume_run(client: httpx.AsyncClient, run_id: str, answer: Any) -> ObservedRun:
    """Answer a run that waits, and follow it on."""
    return await _observe(client, f"/runs/{run_id}/resume", {"answer": answer}, None)


async def _observe(
    client: httpx.AsyncClient, path: str, body: Mapping[str, Any], watch: Watch | None
) -> ObservedRun:
    run = ObservedRun()
    async with client.stream("POST", path, json=body) as response:
        if response.status_code >= 400:
            answer = orjson.loads(await response.aread())
            run.status, run.error = "refused", answer["error"]
            return run
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                event = orjson.loads(line[6:])
                run.add(event)
                if watch:
                    watch(event)
    return run
