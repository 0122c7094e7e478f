"""The worker's side of pictures: the only place that imports torch and diffusers for them."""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from PIL import Image

from config.errors import Invalid
from models.backends.common.worker import Placement
from models.backends.diffusers.needs import bytes_a_pixel
from models.backends.diffusers.worker.batches import in_batches
from models.backends.diffusers.worker.calls import call_of, strength_of, uses
from models.backends.diffusers.worker.loading import load_pipeline, put
from models.backends.diffusers.worker.loras import Loras
from models.backends.diffusers.worker.modes import by_mode, grid, parameters, usual_size
from models.backends.diffusers.worker.request import (
    CheckedRequest,
    DrawingLimits,
    check_request,
    invalid,
    trial_request,
)
from models.backends.diffusers.worker.schedulers import Schedulers, name_of
from models.backends.diffusers.worker.steps import StepReporter
from models.workers.host import Answer, TaskHandle

LEAST_SIDE = 64
TILED_PIXELS = 2_500_000
USUAL_STEPS = 30


class DiffusersHandler:
    """One pipeline, asked with "draw". Options: those of the model, `source`, `device`, ..."""

    def __init__(self, options: dict[str, Any]) -> None:
        torch.set_num_threads(options["threads"])
        self._options = options
        self._placement = Placement(options["device"], options["memory_fraction"])
        pipeline = load_pipeline(options, self._placement)
        self._pipelines = by_mode(pipeline)
        self._schedulers = Schedulers(pipeline.scheduler)
        self._scheduler = pipeline.scheduler
        self._limits = _limits(pipeline, options)
        self._loras = Loras()
        self._mode = "generate"
        if self._limits.scheduler:
            self._schedulers.build(self._limits.scheduler)  # a wrong name is told now
        if options["warm_up"] or (options["warm_up"] is None and not self._placement.on_cpu):
            self._warm_up()

    def memory(self) -> dict[str, Any]:
        return self._placement.memory()

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        if method == "about":
            return self._about(), b""
        request = check_request(header, body, self._limits, random.SystemRandom().randrange(2**32))
        self._draw(request, task)
        return {}, b""

    def _about(self) -> dict[str, Any]:
        return {
            "modes": list(self._pipelines),
            "width": self._limits.width,
            "height": self._limits.height,
            "schedulers": self._schedulers.names,
            "max_count": self._limits.max_count,
        }

    def _warm_up(self) -> None:
        """Draw once: the memory that drawing takes stays with this process, and is counted."""
        request = trial_request(next(iter(self._pipelines)), self._limits)
        pipeline = self._pipeline(request)
        with self._ready(pipeline, request):
            self._draw_batch(pipeline, request, [request.seed], {})

    def _draw(self, request: CheckedRequest, task: TaskHandle) -> None:
        pipeline = self._pipeline(request)
        steps = StepReporter(task, request, batches=-(-request.count // self._batch_size(request)))
        seeds = range(request.seed, request.seed + request.count)
        with self._ready(pipeline, request):
            for seed, image, notes in in_batches(
                seeds,
                self._batch_size(request),
                lambda part: self._draw_batch(pipeline, request, part, steps.callback(pipeline)),
                self._placement.release,
            ):
                header = {"kind": "picture", "width": image.width, "height": image.height}
                settings = {**self._settings(pipeline, request), **notes}
                task.emit({**header, "seed": seed, "settings": settings}, _png(image))

    def _pipeline(self, request: CheckedRequest) -> Any:
        """Return the pipeline for the mode. Offloading is bound to one, and moves with the mode."""
        pipeline = self._pipelines.get(request.mode)
        if pipeline is None:
            field = "mask" if request.mask else "image"
            can = ", ".join(self._pipelines)
            raise invalid(
                field, f"this model cannot {request.mode}, only {can}", "capability_unsupported"
            )
        if request.mode != self._mode and self._options["offload"] != "none":
            put(pipeline, self._placement, self._options["offload"])
        self._mode = request.mode
        return pipeline

    @contextlib.contextmanager
    def _ready(self, pipeline: Any, request: CheckedRequest) -> Iterator[None]:
        """Set the scheduler and LoRAs of the request, and put things back afterwards."""
        scheduler = self._schedulers.build(request.scheduler or self._schedulers.own)
        pipeline.scheduler = scheduler
        tiled = request.width * request.height > TILED_PIXELS
        try:
            with self._loras.on(pipeline, request.loras), _tiling(pipeline, tiled):
                yield
        finally:
            pipeline.scheduler = self._scheduler
            # A pipeline that was left in its midst has modules on the device still.
            pipeline.maybe_free_model_hooks()

    def _batch_size(self, request: CheckedRequest) -> int:
        """Estimate how many pictures the device has room for at once."""
        most = min(request.count, self._options["max_batch"])
        free = self._placement.free_bytes()
        if free is None:
            return int(most)
        decoder = getattr(self._pipelines[request.mode], "vae", None)
        widths = getattr(getattr(decoder, "config", None), "block_out_channels", None)
        each = (
            request.width * request.height * bytes_a_pixel(max(widths[:2]) if widths else None, 2)
        )
        return int(max(1, min(most, free // max(1, int(each)))))

    def _draw_batch(
        self, pipeline: Any, request: CheckedRequest, seeds: Sequence[int], callback: dict[str, Any]
    ) -> list[tuple[int, Image.Image, dict[str, Any]]]:
        # The CPU's generator: a seed draws the same picture on every device.
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        call = call_of(pipeline, request, len(seeds), generators)
        try:
            with torch.inference_mode():
                output = pipeline(**call, **callback)
        except ValueError as error:
            message = f"The pipeline refuses the request: {error}"[:1000]
            raise Invalid(message, code="model_refused") from error
        flags = getattr(output, "nsfw_content_detected", None) or [False] * len(seeds)
        notes = [
            {"withheld": "by the model's own safety checker"} if flag else {} for flag in flags
        ]
        return list(zip(seeds, output.images, notes, strict=True))

    def _settings(self, pipeline: Any, request: CheckedRequest) -> dict[str, Any]:
        """Return what makes the same picture again, with the seed."""
        used = {
            "mode": request.mode,
            "steps": request.steps,
            "guidance": request.guidance if uses(pipeline, "guidance_scale") else None,
            "scheduler": name_of(pipeline.scheduler),
            "negative_prompt": request.negative_prompt or None,
            "strength": strength_of(pipeline, request),
            "note": self._options["note"] or None,
        }
        return {name: value for name, value in used.items() if value is not None}


def _limits(pipeline: Any, options: dict[str, Any]) -> DrawingLimits:
    width, height = usual_size(pipeline)
    taken = parameters(pipeline)
    guidance = getattr(taken.get("guidance_scale"), "default", None)
    steps = getattr(taken.get("num_inference_steps"), "default", USUAL_STEPS)
    return DrawingLimits(
        width=options["width"] or width,
        height=options["height"] or height,
        grid=grid(pipeline),
        least=min(LEAST_SIDE, width, height),
        most=options["max_side"] or 2 * max(width, height),
        max_count=options["max_count"],
        steps=options["steps"] or steps,
        guidance=guidance if options["guidance"] is None else options["guidance"],
        scheduler=options["scheduler"],
    )


@contextlib.contextmanager
def _tiling(pipeline: Any, tiled: bool) -> Iterator[None]:
    """Decode a large picture in tiles: a little different, and within the memory there is."""
    decoder: Any = getattr(pipeline, "vae", None)
    if not tiled or not hasattr(decoder, "enable_tiling"):
        yield
        return
    decoder.enable_tiling()
    try:
        yield
    finally:
        decoder.disable_tiling()


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=3)
    return file.getvalue()
