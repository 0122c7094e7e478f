"""Models that look at pictures and write about them."""

from __future__ import annotations

import copy
import io
import itertools
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from config.errors import Invalid
from models.backends.transformers.worker.loading import load_model, open_device, open_processor
from models.backends.transformers.worker.writing import PieceStreamer, end_tokens
from models.workers.host import Answer, TaskHandle

MANY_IMAGES = 8


class VisionHandler:
    """Methods: `about`, and `caption` (sizes, prompt, max_tokens; the files), which streams."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._placement = open_device(options)
        self._processor = open_processor(AutoProcessor, options["source"])
        self._model = load_model(AutoModelForImageTextToText, options, self._placement)
        self._default = options["prompt"]
        self._chats = bool(getattr(self._processor, "chat_template", None))
        # Where a picture stands in the text of a model without a template, as LLaVA 1.5.
        self._mark = getattr(self._processor, "image_token", None)

    def memory(self) -> dict[str, Any]:
        return self._placement.memory()

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        if method == "about":
            return {"max_images": MANY_IMAGES if self._chats or self._mark else 1}, b""
        images = _images(header["sizes"], body)
        inputs = self._inputs(images, header["prompt"])
        pieces = PieceStreamer(self._processor.tokenizer, task, end_tokens(self._model))
        try:
            self._model.generate(
                **inputs,
                generation_config=self._generation(header["max_tokens"]),
                streamer=pieces,
            )
        except torch.OutOfMemoryError:
            self._placement.release()
            raise
        return {"output_tokens": pieces.tokens}, b""

    def _inputs(self, images: list[Image.Image], prompt: str) -> Any:
        """Without a prompt, a model that only completes begins by itself."""
        if self._chats:
            text = self._chat(len(images), prompt or self._default)
            inputs = self._processor(text=[text], images=[images], return_tensors="pt")
        elif self._mark:
            text = f"USER: {self._mark * len(images)}\n{prompt or self._default} ASSISTANT:"
            inputs = self._processor(text=[text], images=images, return_tensors="pt")
        elif prompt:
            inputs = self._processor(images=images, text=[prompt], return_tensors="pt")
        else:
            inputs = self._processor(images=images, return_tensors="pt")
        return inputs.to(self._placement.device, self._model.dtype)

    def _chat(self, count: int, prompt: str) -> str:
        content = [*[{"type": "image"}] * count, {"type": "text", "text": prompt}]
        text: str = self._processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        return text

    def _generation(self, most: int) -> Any:
        chosen = copy.deepcopy(self._model.generation_config)
        chosen.max_new_tokens, chosen.max_length = most, None
        chosen.do_sample, chosen.num_beams = False, 1
        chosen.temperature = chosen.top_p = chosen.top_k = None
        return chosen


def _images(sizes: Sequence[int], body: bytes) -> list[Image.Image]:
    ends = itertools.accumulate(sizes)
    return [_image(body[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def _image(data: bytes) -> Image.Image:
    """Open a picture, on white where it is transparent."""
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise Invalid(f"The picture cannot be read: {error}", code="unreadable_image") from error
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    ground = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(ground, layer).convert("RGB")
