"""Traces of requests, made from a seed. Sizes are in GB, times in seconds."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

KEEP_ALIVE_S = 300.0


@dataclass(frozen=True, slots=True)
class Model:
    """`load_s` to load, then `parallel` requests at once."""

    size: int
    load_s: float
    parallel: int = 1
    keep_alive_s: float = KEEP_ALIVE_S


@dataclass(frozen=True, slots=True)
class Request:
    """`after`: it comes `at_s` after that request is done, and not at a fixed time."""

    at_s: float
    model: str
    work_s: float
    tenant: str = "one"
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """`foreign`: from then on, so much is taken by others. `watched`: the tenant whose waits
    count, where one harms another. `thrashes`: models that do not fit together take turns.
    """

    name: str
    capacity: int
    models: dict[str, Model]
    requests: tuple[Request, ...]
    foreign: tuple[tuple[float, int], ...] = ()
    watched: str | None = None
    thrashes: bool = False


TWO = {"chat": Model(14, 8.0, parallel=4), "image": Model(12, 6.0)}
"""They do not fit together into 24 GB."""


def all_traces(seed: int = 7) -> list[Trace]:
    """Every trace, the same for the same seed."""
    makers: list[Callable[[random.Random], Trace]] = [
        _alternating,
        _two_busy,
        _two_crowded,
        _agents,
        _five_models,
        _three_mixed,
        _books,
        _crowd_of_three,
        _bursts,
        _flood,
        _long_job,
        _foreign,
        _zipf,
        _quiet,
    ]
    return [make(random.Random(f"{seed} {make.__name__}")) for make in makers]


def _arrivals(draw: random.Random, rate: float, until_s: float) -> Iterator[float]:
    at_s = 0.0
    while (at_s := at_s + draw.expovariate(rate)) < until_s:
        yield at_s


def _trace(name: str, models: dict[str, Model], requests: list[Request], **more: object) -> Trace:
    ordered = tuple(sorted(requests, key=lambda each: each.at_s))
    return Trace(name, 24, models, ordered, **more)  # type: ignore[arg-type]


def _mixed(draw: random.Random, rate: float, until_s: float, work_s: float) -> list[Request]:
    names = list(TWO)
    return [
        Request(at_s, draw.choice(names), draw.expovariate(1 / work_s))
        for at_s in _arrivals(draw, rate, until_s)
    ]


def _alternating(draw: random.Random) -> Trace:
    """One request after the other, each for the other model, a little faster than swaps."""
    names = list(TWO)
    requests = [
        Request(number * 5.0 + draw.uniform(0, 2), names[number % 2], 1.5) for number in range(200)
    ]
    return _trace("two models in turn", TWO, requests)


def _two_busy(draw: random.Random) -> Trace:
    requests = _mixed(draw, 0.3, 1800, 1.5)
    return _trace("two models, mixed", TWO, requests)


def _two_crowded(draw: random.Random) -> Trace:
    requests = _mixed(draw, 0.8, 900, 1.0)
    return _trace("two models, crowded", TWO, requests)


def _five_models(draw: random.Random) -> Trace:
    models = {
        "embed": Model(1, 2.0, parallel=8),
        "voice": Model(2, 3.0),
        "caption": Model(5, 4.0),
        **TWO,
    }
    names, weights = list(models), [8, 2, 2, 3, 3]
    requests = [
        Request(at_s, draw.choices(names, weights)[0], draw.expovariate(1 / 1.0))
        for at_s in _arrivals(draw, 0.8, 1800)
    ]
    return _trace("five models", models, requests, thrashes=True)


def _bursts(draw: random.Random) -> Trace:
    requests = [
        Request(start_s + draw.uniform(0, 10), draw.choice(list(TWO)), draw.expovariate(1 / 1.0))
        for start_s in range(0, 3600, 120)
        for _ in range(20)
    ]
    return _trace("bursts", TWO, requests)


THREE = {"chat": Model(14, 8.0, parallel=4), "image": Model(12, 6.0), "caption": Model(13, 7.0)}
"""No two of them fit together."""


def _three_mixed(draw: random.Random) -> Trace:
    requests = [
        Request(at_s, draw.choice(list(THREE)), draw.expovariate(1 / 1.0))
        for at_s in _arrivals(draw, 0.2, 1800)
    ]
    return _trace("three models, mixed", THREE, requests, thrashes=True)


def _books(draw: random.Random) -> Trace:
    """Six runs at once, each a chain of steps: text, picture, caption, and again."""
    requests: list[Request] = []
    for run in range(6):
        before: int | None = None
        for step in range(45):
            at_s = draw.uniform(0, 5) if before is None else 0.1
            model = list(THREE)[step % 3]
            requests.append(Request(at_s, model, draw.uniform(1, 3), f"run {run}", before))
            before = len(requests) - 1
    return Trace("six runs, three models", 24, THREE, tuple(requests))


def _agents(draw: random.Random) -> Trace:
    """Three agents: each calls a language model several times in a row, then draws a picture."""
    requests: list[Request] = []
    for agent in range(3):
        before: int | None = None
        for step in range(120):
            at_s = draw.uniform(0, 20) if before is None else draw.uniform(0.05, 0.3)
            model, work_s = ("image", 3.0) if step % 8 == 7 else ("chat", draw.uniform(0.5, 2))
            requests.append(Request(at_s, model, work_s, f"agent {agent}", before))
            before = len(requests) - 1
    return Trace("agents that call in a row", 24, TWO, tuple(requests), thrashes=True)


def _crowd_of_three(draw: random.Random) -> Trace:
    """Lists of requests for three models, mixed, each list at once: a queue in front of them."""
    requests = [
        Request(start_s + draw.uniform(0, 2), draw.choice(list(THREE)), draw.expovariate(1 / 1.0))
        for start_s in range(0, 3600, 200)
        for _ in range(24)
    ]
    return _trace("crowds, three models", THREE, requests, thrashes=True)


def _flood(draw: random.Random) -> Trace:
    """One tenant asks for a hundred pictures at once, again and again; another chats."""
    flood = [
        Request(start_s + draw.uniform(0, 5), "image", 2.0, "flood")
        for start_s in range(0, 1800, 600)
        for _ in range(100)
    ]
    chats = [
        Request(
            at_s, draw.choices(["chat", "image"], [3, 1])[0], draw.expovariate(1 / 2.0), "quiet"
        )
        for at_s in _arrivals(draw, 1 / 30, 1800)
    ]
    return _trace("one tenant floods", TWO, flood + chats, watched="quiet")


def _long_job(draw: random.Random) -> Trace:
    """A job of minutes holds one model, in front of short requests for it and for others."""
    models = {**TWO, "caption": Model(5, 4.0), "embed": Model(1, 2.0, parallel=8)}
    jobs = [Request(start_s + 1.0, "chat", 180.0) for start_s in range(0, 3600, 600)]
    short = [
        Request(at_s, draw.choices(list(models), [4, 1, 3, 8])[0], draw.expovariate(1 / 1.0))
        for at_s in _arrivals(draw, 0.3, 3600)
    ]
    return _trace("a long job before short ones", models, jobs + short)


def _foreign(draw: random.Random) -> Trace:
    """Others take memory step by step, and give it back after a while."""
    models = {"chat": Model(9, 6.0, parallel=4), "image": Model(8, 5.0), "voice": Model(2, 3.0)}
    requests = [
        Request(at_s, draw.choices(list(models), [4, 1, 1])[0], draw.expovariate(1 / 2.0))
        for at_s in _arrivals(draw, 0.15, 3600)
    ]
    steps = []
    for start_s in range(300, 3600, 900):
        steps += [(start_s + 5.0 * step, step) for step in range(1, 11)]
        steps.append((start_s + 400.0, 0))
    return _trace("others take memory", models, requests, foreign=tuple(steps))


def _zipf(draw: random.Random) -> Trace:
    sizes = [3, 8, 5, 12, 2, 7, 4, 10, 6, 14]
    models = {f"m{n}": Model(size, 1.0 + size * 0.5, parallel=2) for n, size in enumerate(sizes)}
    weights = [1 / (rank + 1) for rank in range(len(models))]
    requests = [
        Request(at_s, draw.choices(list(models), weights)[0], draw.expovariate(1 / 1.5))
        for at_s in _arrivals(draw, 0.12, 7200)
    ]
    return _trace("ten models, Zipf", models, requests)


def _quiet(draw: random.Random) -> Trace:
    requests = _mixed(draw, 1 / 60, 7200, 2.0)
    return _trace("two models, now and then", TWO, requests)
