"""Run after run against a real llama.cpp server, and what comes of those during which it dies.

`python -m benchmarks steady --runs=1000 --model=NAME --by=server,worker`: by the back end `openai`
at a server of somebody, and by `llamacpp` in a worker of Motet's. None may fail. Then the server,
and the worker, are killed or stopped at ten moments: each run must end right or with the right
error, and the next run must end right. `--runs=0` does that alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx

from benchmarks.language.files import LocalModel, find_models
from benchmarks.language.llama_server import LlamaServer, running_llama
from benchmarks.language.mishaps import (
    MISHAPS,
    Mishap,
    OfServer,
    OfWorker,
    Report,
    Victim,
    make_prompt,
    provoke,
)
from benchmarks.language.service import TIMEOUT, declared_service, run_agent
from benchmarks.measure import Timing, show
from benchmarks.server import ServerProcess

SERVER, WORKER = "bench-server", "bench-worker"
WAYS = {"server": SERVER, "worker": WORKER}
SHORT = {"max_tokens": 8}
MAX_TOKENS = 24
MIN_SILENCE_S, TIMES_UNDISTURBED = 10.0, 4
"""A model that is silent longer is given up; a busy machine reads a prompt slowly."""


async def main() -> None:
    """Print what came of the runs one after another, and of those that were disturbed."""
    parser = argparse.ArgumentParser(prog="benchmarks steady")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--model", default="", help="the smallest that is here")
    parser.add_argument("--by", default=",".join(WAYS), help="one way alone")
    parser.add_argument("--no-mishaps", action="store_true")
    chosen = parser.parse_known_args(sys.argv[1:])[0]
    model = find_models(chosen.model)[0]
    names = [WAYS[way] for way in chosen.by.split(",")]
    async with running_llama(model) as llama:
        if chosen.runs:
            await _run_back_to_back(model, llama, names, chosen.runs)
        if not chosen.no_mishaps:
            await _disturb(model, llama, names)


async def _run_back_to_back(
    model: LocalModel, llama: LlamaServer, names: Sequence[str], count: int
) -> None:
    async with declared_service(_declare(model, llama, SHORT)) as (_, client):
        rows = [await _repeat(client, name, count) for name in names]
    headings = ["", "runs", "failed", "p50 ms", "p99 ms", "runs/s", "errors"]
    show(f"Runs one after another, {model.name}", headings, rows)


def _declare(model: LocalModel, llama: LlamaServer, options: dict[str, Any]) -> dict[str, Any]:
    return {SERVER: model.at_server(llama.url, **options), WORKER: model.in_worker(**options)}


async def _repeat(client: httpx.AsyncClient, model: str, count: int) -> Sequence[object]:
    codes: Counter[str] = Counter()
    latencies = []
    begun = time.perf_counter()
    for number in range(count):
        prompt = f"What comes after {number}?"
        run = await run_agent(client, "bench_say", {"prompt": prompt, "model": model})
        latencies.append(time.perf_counter() - run.begun_s)
        codes[run.code] += 1
    timing = Timing(latencies, time.perf_counter() - begun, 0.0)
    failed = Counter({code: times for code, times in codes.items() if code})
    errors = ", ".join(f"{code} {times}" for code, times in failed.items()) or "none"
    quantiles = (timing.quantile_ms(0.5), timing.quantile_ms(0.99))
    return [model, count, failed.total(), *quantiles, timing.per_second, errors]


async def _disturb(model: LocalModel, llama: LlamaServer, names: Sequence[str]) -> None:
    silence_s = max(MIN_SILENCE_S, TIMES_UNDISTURBED * await _time_undisturbed_s(llama))
    declared = _declare(model, llama, {"max_tokens": MAX_TOKENS, "timeout_s": silence_s})
    async with declared_service(declared) as (server, client):
        victims = [each for each in _victims(llama, server) if each.model in names]
        reports = [
            await _provoke(client, mishap, victim) for victim in victims for mishap in MISHAPS
        ]
    headings = ["", "whom", "ended as", "right", "next run", "s"]
    show(f"Killed and stopped, {model.name}", headings, [report.row() for report in reports])
    wrong = [report for report in reports if not report.is_right]
    print(f"{len(reports) - len(wrong)} of {len(reports)} ended right.")
    for report in wrong:
        print(f"  {report.mishap.name}, {report.model}: {report.message}")


async def _provoke(client: httpx.AsyncClient, mishap: Mishap, victim: Victim) -> Report:
    """Disturb a run, and tell at once what came of it: all of them take minutes."""
    report = await provoke(client, mishap, victim)
    print(*report.row(), sep="  ", file=sys.stderr, flush=True)
    return report


async def _time_undisturbed_s(llama: LlamaServer) -> float:
    """Measure how long the server itself takes for a prompt that nobody disturbs."""
    body = {"prompt": make_prompt(len(MISHAPS)), "max_tokens": 1}
    begun = time.perf_counter()
    async with httpx.AsyncClient(base_url=llama.url, timeout=TIMEOUT) as client:
        (await client.post("/v1/completions", json=body)).raise_for_status()
    return time.perf_counter() - begun


def _victims(llama: LlamaServer, server: ServerProcess) -> tuple[Victim, Victim]:
    return OfServer(SERVER, llama), OfWorker(WORKER, server)
