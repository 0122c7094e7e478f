"""A model in a worker that speaks, sentence by sentence, for several at once.

Owns the order of sentences and the turns of speeches; how a sentence is spoken is the worker's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from config.errors import Invalid, TimedOut
from models.backends.common.spoken import split_for_speech, stretches
from models.backends.common.worker_model import WorkerModel
from models.capabilities import Sound, SpeechRequest, Voice
from models.scheduling.requirement import MemoryRequirement
from models.workers.process import WorkerProcess

SENTENCES_AHEAD = 2
"""Sentences under way for one speech: one is spoken while the last is being listened to."""
MAX_TEXT_CHARS = 1_000_000


class SpeakingModel(WorkerModel):
    """Base of voices. The worker's method `say` speaks one sentence: 16-bit samples, `rate`."""

    clones = False

    def __init__(
        self,
        worker: WorkerProcess,
        need: MemoryRequirement,
        *,
        silence_s: float,
        sentence_chars: int,
    ) -> None:
        super().__init__(worker, need)
        self._silence_s = silence_s
        self._sentence_chars = sentence_chars
        self._turn = asyncio.Lock()

    @property
    def capability(self) -> SpeakingModel:
        return self

    @property
    def voices(self) -> Sequence[Voice]:
        raise NotImplementedError

    def speak(self, request: SpeechRequest) -> AsyncGenerator[Sound, None]:
        """Speak as `Speech.speak` does. Closing the stream drops the sentences that wait."""
        return self._speak(request)

    def _say_header(self, request: SpeechRequest) -> dict[str, Any]:
        """Return what `say` needs beside the text. Raises `Invalid`, naming the field."""
        raise NotImplementedError

    async def _speak(self, request: SpeechRequest) -> AsyncGenerator[Sound, None]:
        any_sound = False
        async with aclosing(self._sounds(request)) as sounds:
            async for sound in sounds:
                if sound.samples:
                    any_sound = True
                    yield sound
        if not any_sound:
            raise Invalid(
                "There is nothing to say: the text holds no word, or no character that this voice "
                "knows.",
                code="nothing_to_say",
                details={"field": "text"},
            )

    async def _sounds(self, request: SpeechRequest) -> AsyncGenerator[Sound, None]:
        """Yield the sound of each sentence, empty where the voice knows no character of it."""
        header = self._say_header(request)
        clip = request.reference or b""
        under_way: deque[asyncio.Task[Sound]] = deque()
        try:
            async with aclosing(self._cut(request.text, self._max_sentence_chars(header))) as texts:
                async for text in texts:
                    said = self._say(text, header, clip)
                    under_way.append(asyncio.create_task(said, name="sentence"))
                    if len(under_way) == SENTENCES_AHEAD:
                        yield await under_way[0]
                        under_way.popleft()
            while under_way:
                yield await under_way[0]
                under_way.popleft()
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    def _max_sentence_chars(self, header: Mapping[str, Any]) -> int:
        """Return how long a sentence may be before it is cut."""
        return self._sentence_chars

    async def _cut(self, text: str, sentence_chars: int) -> AsyncGenerator[str, None]:
        if len(text) > MAX_TEXT_CHARS:
            raise Invalid(
                f"At most {MAX_TEXT_CHARS} characters are spoken at once; this text has "
                f"{len(text)}.",
                code="too_large",
                details={"field": "text", "max": MAX_TEXT_CHARS},
            )
        for stretch in stretches(text):
            # In a thread: a text made to be hard to cut must not hold up the server.
            for part in await asyncio.to_thread(split_for_speech, stretch, sentence_chars):
                yield part

    async def _say(self, text: str, header: Mapping[str, Any], body: bytes) -> Sound:
        # Sentences of several speeches take turns here, not in the worker: there their wait
        # would count as its silence.
        async with self._turn:
            try:
                reply = await self._worker.call(
                    "say", {**header, "text": text}, body, timeout_s=self._silence_s
                )
            except TimedOut:
                self._worker.kill()
                raise
        return Sound(reply.body, reply.header["rate"], text)
