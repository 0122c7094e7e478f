"""Sends the hostile requests to a service of its own, and tells how it bore them."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.hostile.agents import (
    FILES,
    SCHEMAS,
    TEMPLATES,
    TEXT,
    TEXTS,
    schema_agent,
    template_agent,
)
from benchmarks.hostile.raw import BYTES, HALF, send_bytes, stop_halfway
from benchmarks.hostile.requests import HostileRequest, hostile_requests
from benchmarks.measure import show
from benchmarks.server import running_server

COUNT = 500
AT_ONCE = 4
ANSWER_S = 120.0
"""An answer that takes longer, such as a stream without end, is left."""
STALL_S = 0.1


@dataclass
class Outcome:
    """What came back: statuses, and what must not happen, each with its request."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    sent: list[tuple[float, float, str]] = field(default_factory=list)
    """Begin and end of each request, and its name."""

    def add(self, name: str, method: str, response: httpx.Response | None) -> None:
        """Judge an answer: each error has the envelope, and none is a fault of ours."""
        if response is None:
            self.unanswered.append(name)
            return
        self.statuses[response.status_code] += 1
        if response.status_code == 500:
            self.faults.append(name)
        if response.status_code >= 400 and not has_envelope(response, method):
            self.plain.append(f"{name}: {response.status_code} {response.text[:80]!r}")


def has_envelope(response: httpx.Response, method: str = "GET") -> bool:
    """Tell whether an error is in the one shape that all errors have."""
    if response.headers.get("content-type") != "application/json":
        return False
    if method == "HEAD":
        return True
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return False
    return {"code", "family", "message", "details"} <= error.keys()


async def attack(url: str, count: int = COUNT, seed: int = 1) -> Outcome:
    """Send all kinds of hostile requests, some at once."""
    outcome = Outcome()
    async with httpx.AsyncClient(base_url=url, timeout=ANSWER_S) as client:
        api = (await client.get("/openapi.json")).json()
        existing = await make_things(client)
        # The HTTP server counts a header's lines anew for each connection.
        left = iter(list(hostile_requests(api, existing, count=count, seed=seed)))
        senders = [_send_all(client, left, outcome) for _ in range(AT_ONCE)]
        await asyncio.gather(*senders, _send_raw(url, outcome), _send_agents(client, outcome))
    return outcome


async def make_things(client: httpx.AsyncClient) -> dict[str, str]:
    """Make one of each kind of thing, and give the values of path parameters that lead to it."""
    await client.post("/agents", json={"yaml": template_agent("victim", "{{ text | upper }}")})
    await client.post("/indexes", json={"name": "library"})
    text = {"text": "# Sky\n\nThe sky is blue by day.", "source": "sky.md"}
    document = (await client.post("/indexes/library/documents", json=text)).json()["documents"][0]
    thread = (await client.post("/threads", json={})).json()["thread_id"]
    body = {"input": {"text": "hi"}, "thread_id": thread, "stream": False}
    run = (await client.post("/agents/victim/run", json=body)).json()["run_id"]
    file = {"files": ("a.txt", b"0123456789", "text/plain")}
    artifact = (await client.post("/artifacts", files=file)).json()["artifacts"][0]["id"]
    return {
        "agents.name": "victim",
        "indexes.name": "library",
        "models.name": "minilm",
        "document": document,
        "thread_id": thread,
        "run_id": run,
        "artifact_id": artifact,
    }


async def _send_all(client: httpx.AsyncClient, requests: Any, outcome: Outcome) -> None:
    for each in requests:
        name = f"{each.kind}: {each.method} {each.target[:60]}"
        async with _noted(outcome, name):
            outcome.add(name, each.method, await send(client, each))


async def send(client: httpx.AsyncClient, each: HostileRequest) -> httpx.Response | None:
    """Send a request as it is written; None where no answer comes, or one without end."""
    url = client.base_url
    target = each.target.encode("ascii", "ignore")
    # A URL given as text would be tidied up: the extension sends it as it is.
    request = client.build_request(each.method, url, content=each.body, headers=each.headers)
    request.extensions["target"] = target
    try:
        async with asyncio.timeout(ANSWER_S):
            response = await client.send(request, stream=True)
            if "text/event-stream" in response.headers.get("content-type", ""):
                await response.aclose()
            else:
                await response.aread()
            return response
    except (httpx.HTTPError, TimeoutError):
        return None


async def _send_raw(url: str, outcome: Outcome) -> None:
    half = [asyncio.create_task(stop_halfway(url, data)) for data in HALF.values()]
    for name, data in BYTES.items():
        async with _noted(outcome, f"bytes: {name}"):
            outcome.add(f"bytes: {name}", "GET", await send_bytes(url, data))
    await asyncio.gather(*half)


async def _send_agents(client: httpx.AsyncClient, outcome: Outcome) -> None:
    agents = {name: template_agent(f"t-{name}", text) for name, text in TEMPLATES.items()}
    agents |= {f"s-{name}": schema_agent(f"s-{name}", text) for name, text in SCHEMAS.items()}
    for key, yaml in {**agents, **FILES}.items():
        async with _noted(outcome, f"agent: {key}"):
            made = await client.post("/agents", json={"yaml": yaml})
            outcome.add(f"agent: {key}", "POST", made)
        if made.status_code != 201:
            continue
        name = made.json()["name"]
        async with _noted(outcome, f"run: {key}"):
            body = {"input": {"text": TEXTS.get(key, TEXT)}, "stream": False}
            ran = await client.post(f"/agents/{name}/run", json=body)
            outcome.add(f"run: {key}", "POST", ran)
        await client.get(f"/agents/{name}/picture.svg")
        await client.delete(f"/agents/{name}")


@asynccontextmanager
async def _noted(outcome: Outcome, name: str) -> AsyncIterator[None]:
    begun = time.time()
    yield
    outcome.sent.append((begun, time.time(), name))


@asynccontextmanager
async def probing(url: str) -> AsyncIterator[list[tuple[float, float]]]:
    """Probe the health of a service meanwhile: when each probe ended, and how long it took."""
    arguments = ("-m", "benchmarks.hostile.probe", url)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=pipe)
    assert process.stdout
    probes: list[tuple[float, float]] = []
    await process.stdout.readline()
    try:
        yield probes
    finally:
        process.kill()
        said = (await process.stdout.read()).decode().splitlines()
        await process.wait()
        pairs = (line.split() for line in said if line.count(" ") == 1)
        probes += [(float(ended), float(took)) for ended, took in pairs]


def _name_stalls(probes: list[tuple[float, float]], outcome: Outcome) -> Mapping[str, float]:
    """Say what was under way in each long stall."""
    stalls: dict[str, float] = {}
    for ended, took in probes:
        if took > STALL_S:
            for begun, answered, name in outcome.sent:
                if begun < ended and answered > ended - took:
                    stalls[name] = max(stalls.get(name, 0.0), took)
    return stalls


async def main() -> None:
    """Print the longest stall of `/health`, and what was answered in another way than it must."""
    async with running_server(log_level="error") as server:
        async with probing(server.url) as quiet:
            await asyncio.sleep(3)
        async with probing(server.url) as probes:
            begun = time.perf_counter()
            outcome = await attack(server.url)
            wall_s = time.perf_counter() - begun
    counts = ", ".join(f"{status}: {n}" for status, n in sorted(outcome.statuses.items()))
    rows: list[tuple[object, ...]] = [
        ("requests", len(outcome.sent)),
        ("seconds", f"{wall_s:.1f}"),
        ("answers by status", counts),
        ("answered 500", len(outcome.faults)),
        ("errors without the envelope", len(outcome.plain)),
        ("without an answer", len(outcome.unanswered)),
        ("probes", len(probes)),
        ("longest stall, ms", f"{max(took for _, took in probes) * 1e3:.0f}"),
        ("longest before, ms", f"{max(took for _, took in quiet) * 1e3:.0f}"),
    ]
    show("Hostile requests", ["", ""], rows)
    for title, names in (
        ("Answered 500", outcome.faults),
        ("Without the envelope", outcome.plain),
        ("Without an answer", outcome.unanswered),
    ):
        if names:
            show(title, ["request"], [(name,) for name in names])
    stalls = sorted(_name_stalls(probes, outcome).items(), key=lambda item: -item[1])
    if stalls:
        show("Under way in stalls", ["request", "ms"], [(n, f"{s * 1e3:.0f}") for n, s in stalls])
