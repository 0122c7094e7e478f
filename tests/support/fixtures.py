"""Fixtures that tests of several packages use: `pytest_plugins = ["tests.support.fixtures"]`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.ollama import Ollama
from tests.support.runs.event_check import checked_events
from tests.support.script import Gate


@pytest.fixture(autouse=True)
def event_problems() -> Iterator[list[str]]:
    """Fail a test in which a run's event is not as `runs.event_types` declares it."""
    with checked_events() as problems:
        yield problems
    assert problems == []


@pytest.fixture
def sync_threads(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads that have brought something to the disk since, each as often as it did."""
    threads: list[threading.Thread] = []
    sync = os.fsync

    def note(descriptor: int) -> None:
        threads.append(threading.current_thread())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return threads


@pytest.fixture
def serve_ollama() -> Iterator[Callable[..., Ollama]]:
    """Starts doubles with settings of the test's own, e.g. `serve_ollama(max_loaded=1)`."""
    started: list[Ollama] = []

    def serve(**settings: Any) -> Ollama:
        double = Ollama(**settings)
        double.start()
        started.append(double)
        return double

    yield serve
    for double in started:
        double.stop()


@pytest.fixture
def ollama(serve_ollama: Callable[..., Ollama]) -> Ollama:
    """A running double of Ollama without models; `/v1` speaks OpenAI's wire."""
    return serve_ollama()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A place for a scripted reply to wait at; opened at the end of the test."""
    gate = Gate()
    yield gate
    gate.open()
