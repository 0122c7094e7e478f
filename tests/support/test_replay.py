"""The double says on the wire what the real servers said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.support.ollama import Ollama
from tests.support.recorded import Record, records, said, same_wire, send, wire
from tests.support.script import Call, Reply, Thinking, Turn

RECORDS = records()
SINGLE = [record for record in RECORDS if not record.step]
AFTER = {  # cases that show what others left behind
    "ps.loaded_default_keep_alive": ["generate.empty_prompt_load"],
    "ps.keep_alive_minus1": ["generate.load_keep_alive_minus1"],
    "ps.num_ctx_512": ["generate.num_ctx_load"],
    "ps.after_unload_at_once": ["generate.empty_prompt_load", "generate.keep_alive_0_unload"],
    "chat.ps_after_load": ["chat.empty_messages_load"],
    "chat.ps_after_unload": ["chat.empty_messages_load", "chat.empty_messages_unload"],
    "pull.repeated": ["pull.full_progress"],
    "pull.repeated_nonstream": ["pull.full_progress"],
}
# Four tokens of noise made one piece of text in the recording: here a token is always a piece.
ONE_PIECE = {"v1.chat.stream", "v1.chat.stream_include_usage"}
EMPTY = {"tags.empty", "v1.models.empty"}
FIXED = {"tools", "ntools", "think"}  # models whose text is the same each time


def chain(turn: Turn) -> Reply:
    """What the recorded models `tools` and `ntools` say."""
    if "<|repeat|>" in turn.last:
        return "ha " * 40
    if turn.messages[-1].get("role") == "tool":
        return "It is 18 degrees in Paris now."
    if len(turn.tools) > 1:
        calls = Call("get_weather", {"city": "Lyon", "days": 3}), Call("get_time", ZONE)
        return ["Let me look.\n", *calls]
    if turn.tools:
        return Call("get_weather", {"city": "Paris"})
    return QUICK


ZONE = {"tz": "Europe/Paris"}
QUICK = "The quick answer is forty-two, café o'clock."


def thoughtful(turn: Turn) -> Reply:
    if turn.think is False:
        return QUICK
    return [Thinking("Hmm, let us see.\n"), "The answer follows thinking."]


def noise(turn: Turn) -> Reply:
    return '{"answer":"yes", "n" :0}' if turn.format else "I see a few words of noise here"


@pytest.fixture(scope="module")
def real_models() -> Iterator[Ollama]:
    double = Ollama()
    double.add("tiny", noise, capabilities=("completion",), context_length=2048)
    double.add("tools", chain, capabilities=("completion", "tools", "insert"))
    double.add("ntools", chain, capabilities=("tools", "completion"), go_template=False)
    double.add("think", thoughtful, capabilities=("completion", "thinking"))
    double.add("slow", lambda turn: "la li lu lo " * 1000, capabilities=("completion",))
    double.add("tinyemb", capabilities=("embedding",))
    double.offer("http://127.0.0.1:21750/library/mid")
    double.start()
    yield double
    double.stop()


@pytest.fixture
def client(real_models: Ollama) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=real_models.url, timeout=120) as client:
        yield client
        for name in real_models.loaded:
            client.post("/api/generate", json={"model": name, "keep_alive": 0})


def the(case: str) -> Record:
    return next(record for record in SINGLE if record.case == case)


def as_sent(record: Record) -> dict[str, Any]:
    if record.case not in ONE_PIECE:
        return record.request
    return {**record.request, "body": {**record.request["body"], "max_tokens": 1}}


@pytest.mark.parametrize("record", [pytest.param(each, id=each.case) for each in SINGLE])
def test_an_answer_has_the_recorded_wire(
    record: Record, client: httpx.Client, serve_ollama: Callable[..., Ollama]
) -> None:
    for before in AFTER.get(record.case, []):
        send(client, the(before).request)
    if record.case in EMPTY:
        with httpx.Client(base_url=serve_ollama().url) as empty:
            answered = wire(send(empty, record.request))
    else:
        answered = wire(send(client, as_sent(record)))
    same_wire(record.response, answered)
    asked: dict[str, Any] = record.request.get("body") or {}
    cut = "cut_by" in record.case or "repeat" in record.case  # where depends on the tokens
    if asked.get("model") in FIXED and not cut and record.response["status"] == 200:
        assert said(answered) == said(record.response)


def test_an_older_server_tells_no_capabilities_in_its_tags(
    serve_ollama: Callable[..., Ollama],
) -> None:
    double = serve_ollama(old=True)
    double.add("tiny")
    with httpx.Client(base_url=double.url) as client:
        for record in records("recorded-0.24.jsonl"):
            same_wire(record.response, wire(send(client, record.request)))
