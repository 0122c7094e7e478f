"""One piece of work for each kind of model."""

from __future__ import annotations

from contextlib import aclosing

from models.capabilities import ImageRequest, Picture, SpeechRequest
from models.manager import Lease

TOKENS = 64
TEXT = "A motet is many voices in one piece. Each of them goes its own way."


async def work(lease: Lease, tiny: bool, pixels: int = 1024) -> str:
    """Use the model once; what came of it, in words."""
    match lease.model.task:
        case "chat":
            chat = lease.chat.bind(max_tokens=TOKENS)
            pieces = [piece async for piece in chat.astream("Tell me of the sea.")]
            return f"{len(pieces)} pieces"
        case "image":
            size = 64 if tiny else pixels
            request = ImageRequest("the sea", width=size, height=size, steps=8, seed=1)
            async with aclosing(lease.image.draw(request)) as drawn:
                pictures = [each async for each in drawn if isinstance(each, Picture)]
            return f"{pictures[0].width} x {pictures[0].height}, {len(pictures[0].data)} bytes"
        case "speech":
            async with aclosing(lease.speech.speak(SpeechRequest(TEXT))) as spoken:
                seconds = sum([sound.seconds async for sound in spoken])
            return f"{seconds:.1f} s of sound"
    raise ValueError(lease.model.task)
