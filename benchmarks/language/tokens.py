"""What Motet adds to the first token of an answer, and to each one that follows.

`python -m benchmarks tokens --rounds=30 --model=NAME`. In each round a question is asked in three
ways, one after the other: of a llama.cpp server itself, of that server through a run by the back
end `openai`, and through a run by `llamacpp`, whose worker has a server of the same wheel. What
differs within a round counts, so that a machine whose speed changes does no harm. Goals: a first
token at most 3 ms later and 2 % fewer tokens a second than the server itself, by a worker 5 %.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import orjson

from benchmarks.language.files import LocalModel, find_models
from benchmarks.language.llama_server import running_llama
from benchmarks.language.service import TIMEOUT, declared_service, run_agent
from benchmarks.measure import median, show

BARE, SERVER, WORKER = "llama.cpp itself", "bench-server", "bench-worker"
MAX_TOKENS = 64
WARM_ROUNDS = 2
SUBJECTS = ("rivers", "bridges", "forests", "islands", "markets", "harbours")


@dataclass(frozen=True, slots=True)
class Answer:
    """A streamed answer: when its pieces came, and how many tokens they are."""

    first_s: float
    rest_s: float
    tokens: int

    @property
    def per_second(self) -> float:
        return (self.tokens - 1) / self.rest_s


async def main() -> None:
    """Print medians, and the medians of what differs within each round."""
    parser = argparse.ArgumentParser(prog="benchmarks tokens")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--model", default="", help="the smallest that is here")
    chosen = parser.parse_known_args(sys.argv[1:])[0]
    model = find_models(chosen.model)[0]
    rounds = await _measure(model, chosen.rounds + WARM_ROUNDS)
    report(model.name, rounds[WARM_ROUNDS:])


async def _measure(model: LocalModel, count: int) -> list[dict[str, Answer]]:
    bound = {"max_tokens": MAX_TOKENS}
    async with (
        running_llama(model) as llama,
        httpx.AsyncClient(base_url=llama.url, timeout=TIMEOUT) as bare,
        declared_service(
            {SERVER: model.at_server(llama.url, **bound), WORKER: model.in_worker(**bound)}
        ) as (_, service),
    ):
        rounds = []
        for number in range(count):
            first = await ask_bare(bare, make_prompt(3 * number))
            through = {
                name: await ask_service(service, bare, name, make_prompt(3 * number + place))
                for place, name in enumerate((SERVER, WORKER), 1)
            }
            rounds.append({BARE: first, **through})
        return rounds


def make_prompt(number: int) -> str:
    """Return a question as long as all others, of which no cache knows the beginning."""
    subject = SUBJECTS[number % len(SUBJECTS)]
    return f"{number:05d}. Write a long story about {subject}, with many names and places in it."


async def ask_bare(client: httpx.AsyncClient, prompt: str) -> Answer:
    """Ask the server itself, as its own clients do."""
    body = {
        "messages": [{"role": "user", "content": prompt}],
        "stream": True,
        "max_tokens": MAX_TOKENS,
        "temperature": 0,
    }
    text, times_s, begun = "", [], time.perf_counter()
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
                continue
            choices = orjson.loads(line[6:])["choices"]
            if choices and (piece := choices[0]["delta"].get("content")):
                text += piece
                times_s.append(time.perf_counter())
    return await _make_answer(client, begun, times_s, text)


async def ask_service(
    client: httpx.AsyncClient, bare: httpx.AsyncClient, model: str, prompt: str
) -> Answer:
    """Ask through a run of Motet. Raises `RuntimeError` for one that fails."""
    run = await run_agent(client, "bench_say", {"prompt": prompt, "model": model})
    if run.code:
        raise RuntimeError(f"{run.code}: {run.error.get('message')}")
    return await _make_answer(bare, run.begun_s, run.token_times_s, run.text)


async def _make_answer(
    client: httpx.AsyncClient, begun_s: float, times_s: Sequence[float], text: str
) -> Answer:
    """Count the tokens as the model does: a piece may hold several."""
    response = await client.post("/tokenize", json={"content": text})
    tokens = len(response.json()["tokens"])
    return Answer(times_s[0] - begun_s, times_s[-1] - times_s[0], tokens)


def report(model: str, rounds: Sequence[dict[str, Answer]]) -> None:
    """Print the table of all rounds."""
    rows = [[name, *summarize(rounds, name)] for name in (BARE, SERVER, WORKER)]
    headings = ["", "first token ms", "later by ms", "tokens/s", "of the server's own %"]
    show(f"Answers of {model}, {len(rounds)} rounds", headings, rows)


def summarize(rounds: Sequence[dict[str, Answer]], name: str) -> list[float]:
    """Return medians: first token, its delay within a round, tokens a second, their ratio."""
    return [
        median([each[name].first_s for each in rounds]) * 1e3,
        median([each[name].first_s - each[BARE].first_s for each in rounds]) * 1e3,
        median([each[name].per_second for each in rounds]),
        median([each[name].per_second / each[BARE].per_second for each in rounds]) * 100,
    ]
