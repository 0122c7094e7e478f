"""Errands: runs with side effects, edits and answers, whose clients bear with a dying server.

A client asks again until it has an answer, as a good client does: runs by their idempotency key,
edits because they say the same again, answers where the question is open still.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import psutil

from tests.support.forked import ForkedServer
from tests.support.service import open_client

HERE = Path(__file__).parent
REFUSED = "refused-"
"""Begins the keys of runs that were not accepted."""
ENDED = ("finished", "failed", "cancelled")


class Shop:
    """A server that dies and comes back, and what its clients know of it.

    `moments` counts what clients have seen happen; who waits for one of them kills in the middle.
    """

    def __init__(self, home: Path, witness: Path, **settings: str) -> None:
        for folder in ("agents", "tools"):
            shutil.copytree(HERE / folder, home / folder)
        self.server = ForkedServer(home, **settings)
        self.witness = witness
        self.moments = 0
        self._due: dict[int, asyncio.Event] = {}
        self._open = asyncio.Event()

    async def open(self) -> None:
        await self.server.start()
        self._open.set()

    async def kill(self) -> None:
        """Kill the server, and start it again."""
        self._open.clear()
        await self.server.kill()
        await self.open()

    async def close(self) -> None:
        await self.server.stop()

    def client(self) -> httpx.AsyncClient:
        """A client of the server as it runs now."""
        return open_client(self.server.url)

    def workers(self, name: str) -> list[psutil.Process]:
        """The server's processes of this name."""
        children = self.server.process.children()
        return [child for child in children if child.cmdline()[-1:] == [name]]

    def see(self) -> None:
        """Note that something has happened."""
        self.moments += 1
        if due := self._due.pop(self.moments, None):
            due.set()

    async def wait_moments(self, number: int) -> None:
        """Wait until so much more has happened."""
        due = self._due.setdefault(self.moments + number, asyncio.Event())
        await asyncio.wait_for(due.wait(), 120)

    async def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Ask until there is an answer that is one."""
        while True:
            await self._open.wait()
            try:
                async with self.client() as client:
                    answer = await client.request(method, path, **request)
            except httpx.TransportError:
                continue
            finally:
                self.see()
            if answer.status_code != 503:
                return answer

    async def follow(self, path: str, after: int) -> list[tuple[int, dict[str, Any]]]:
        """Read a run's events behind `after`, until the stream or the server ends."""
        events: list[tuple[int, dict[str, Any]]] = []
        await self._open.wait()
        try:
            async with (
                self.client() as client,
                client.stream("GET", f"{path}/events", params={"after": after}) as stream,
            ):
                async for line in stream.aiter_lines():
                    # A line of an event that is not whole when the server dies never comes.
                    if line.startswith("data: ") and stream.status_code == 200:
                        event = orjson.loads(line[6:])
                        events.append((event["seq"], event))
                        self.see()
        except httpx.TransportError:
            pass
        return events

    def posted(self) -> Counter[str]:
        """The lines of the witness by their keys."""
        lines = self.witness.read_text().splitlines() if self.witness.exists() else []
        return Counter(line.partition("|")[0] for line in lines)

    def text_of(self, key: str) -> str | None:
        """What was posted under a key."""
        for line in self.witness.read_text().splitlines():
            if line.startswith(f"{key}|"):
                return line.partition("|")[2]
        return None


@dataclass
class Errand:
    """One run with its persons: what it must come to."""

    key: str
    webhook: str | None = None
    path: str = ""
    run: dict[str, Any] = field(default_factory=dict)
    seen: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    async def go(self, shop: Shop) -> None:
        """Submit the run, edit and answer, until it has ended."""
        await self.begin(shop)
        await self.end(shop)

    async def begin(self, shop: Shop) -> None:
        """Submit the run, and wait until it asks."""
        await self._submit(shop)
        await self._read_questions(shop)

    async def end(self, shop: Shop) -> None:
        """Edit and answer, until the run has ended."""
        await self._edit(shop, "edited once")
        await self._answer(shop, "send", "yes")
        await self._edit(shop, "edited twice")
        await self._answer(shop, "and", "surely")
        # A server killed while it sent the end is asked for it again.
        while (run := await self._read(shop))["status"] not in ENDED or not self._has_seen_end():
            pass
        self.run = run

    def _has_seen_end(self) -> bool:
        return bool(self.seen) and self.seen[-1][1]["type"].removeprefix("run.") in ENDED

    async def _submit(self, shop: Shop) -> None:
        body = {
            "input": {"key": self.key, "file": str(shop.witness)},
            "thread_id": str(uuid4()),
            "if_not_exists": "create",
            "background": True,
            "webhook": self.webhook,
        }
        headers = {"Idempotency-Key": self.key}
        accepted = await shop.call("POST", "/agents/errand/run", json=body, headers=headers)
        assert accepted.status_code == 202, accepted.text
        self.path = accepted.headers["location"]
        self.thread = f"/threads/{body['thread_id']}"

    async def _edit(self, shop: Shop, draft: str) -> None:
        """Edit what the open questions are about."""
        await self._read_questions(shop)
        values = {"draft": f"{draft} {self.key}"}
        edited = await shop.call("POST", f"{self.thread}/state", json={"values": values})
        assert edited.status_code == 200, edited.text

    async def _read_questions(self, shop: Shop) -> list[dict[str, Any]]:
        """The open questions, once there are some."""
        while not (run := await self._read(shop))["interrupts"]:
            pass
        questions: list[dict[str, Any]] = run["interrupts"]
        return questions

    async def be_refused(self, shop: Shop) -> None:
        """Ask a full disk for one more run, an edit and an answer, each once and in vain."""
        questions = await self._read_questions(shop)
        another = {"key": REFUSED + self.key, "file": str(shop.witness)}
        answers = {question["id"]: "refused" for question in questions}
        async with shop.client() as client:
            for path, body in (
                ("/agents/errand/run", {"input": another, "background": True}),
                (f"{self.thread}/state", {"values": {"draft": "refused"}}),
                (f"{self.path}/resume", {"answer": answers, "background": True}),
            ):
                answer = await client.post(path, json=body)
                shop.see()
                assert answer.status_code == 503, answer.text

    async def _answer(self, shop: Shop, question: str, answer: str) -> None:
        """Answer a question, until it is open no more."""
        while open_ := await self._find(shop, question):
            body = {"answer": {open_: answer}, "background": True}
            await shop.call("POST", f"{self.path}/resume", json=body)

    async def _find(self, shop: Shop, question: str) -> str | None:
        """The id of an open question."""
        while (run := await self._read(shop))["status"] not in ("waiting", *ENDED):
            pass
        for each in run["interrupts"]:
            if each["value"]["message"].startswith(question):
                return str(each["id"])
        return None

    async def _read(self, shop: Shop) -> dict[str, Any]:
        """Follow the run as far as it goes, and read it."""
        after = self.seen[-1][0] if self.seen else 0
        self.seen += await shop.follow(self.path, after)
        run: dict[str, Any] = (await shop.call("GET", self.path)).json()
        return run

    def check(self, shop: Shop) -> None:
        """Nothing acknowledged is lost, nothing is done or told twice."""
        assert self.run["status"] == "finished", self.run["error"]
        output = self.run["output"]
        draft = f"edited twice {self.key}"
        assert (output["draft"], output["verdict"], output["opinion"]) == (draft, "yes", "surely")
        posted = shop.posted()
        for name, text in (
            ("first", f"draft of {self.key}"),
            ("second", f"{draft}, yes, surely"),
        ):
            key = f"{self.key}/{name}"
            # A call that was cut off took effect or not: the run says that it does not know.
            assert posted[key] in ((1,) if output[name] == "posted" else (0, 1)), key
            assert shop.text_of(key) in (text, None)
        assert [seq for seq, _ in self.seen] == list(range(1, len(self.seen) + 1))
        assert self.seen[-1][1]["type"] == "run.finished"


@asynccontextmanager
async def run_errands(
    shop: Shop, people: int, webhook: str | None = None
) -> AsyncIterator[list[Errand]]:
    """People who run one errand after another; on leaving each brings its last one to its end."""
    errands: list[Errand] = []
    closing = asyncio.Event()

    async def work(person: int) -> None:
        while not closing.is_set():
            errand = Errand(f"errand-{person}-{len(errands)}", webhook)
            errands.append(errand)
            await errand.go(shop)

    workers = [asyncio.create_task(work(person)) for person in range(people)]
    try:
        yield errands
    finally:
        closing.set()
        await asyncio.wait_for(asyncio.gather(*workers), 120)
