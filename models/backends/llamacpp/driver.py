"""Language models in GGUF files, each in a worker process with llama.cpp's own server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from config.errors import Invalid, MotetError, Unavailable
from models.backends.common.base_driver import BaseDriver, check_task
from models.backends.llamacpp.devices import LlamaCppDevices
from models.backends.llamacpp.loading import start_model
from models.backends.llamacpp.model import LlamaCppModel
from models.backends.llamacpp.model_files import ModelFiles, ModelFilesReader
from models.backends.llamacpp.needs import Footprint, LoadPlan
from models.backends.llamacpp.options import (
    OPTIONS,
    GenerationOptions,
    LlamaCppCaptionOptions,
    LlamaCppOptions,
)
from models.backends.llamacpp.pull import pull
from models.backends.llamacpp.sources import LocalFile, parse_source
from models.catalog.spec import ModelSpec
from models.devices import CPU, RAM
from models.driver import DriverContext, Progress
from models.scheduling.placement import list_placements
from models.scheduling.requirement import MemoryRequirement

UNKNOWN_BYTES = 2_000_000_000
"""What a model is taken to need whose file cannot be read."""
TEMPLATE_MISSING = (
    "it has no chat template, so it only continues texts. Name a Jinja file in its option "
    "`chat_template`, or take a model that is made for chat."
)
PROJECTOR_MISSING = (
    "it sees no pictures: name the file by which it does (mmproj) in its option `projector`."
)


class LlamaCppDriver(BaseDriver):
    """Starts one worker process for each model."""

    backend = "llamacpp"
    packages = ("xllamacpp",)
    how_to_install = "pip install 'motet[llamacpp]'"
    looks_at_files = True
    named_tasks = ("chat", "embed", "caption")

    def __init__(self, context: DriverContext) -> None:
        super().__init__(context)
        self._files = ModelFilesReader(context.settings.home)
        self._devices = LlamaCppDevices(context.accelerators)

    async def available(self, spec: ModelSpec) -> str | None:
        reason = await super().available(spec)
        if reason is None:
            await self._devices.find()
        return reason

    def find_problem(self, spec: ModelSpec) -> str | None:
        options = _check(spec)
        return _find_lack(self._read(spec, options), options)

    def is_public_name(self, source: str) -> bool:
        try:
            return not isinstance(parse_source(source), LocalFile)
        except Invalid:
            return False

    async def pull(self, source: str, progress: Progress) -> None:
        """Get a model of the Hub or of a registry, as `Puller.pull` promises."""
        await pull(source, self._context.settings.home, progress)

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        usable = self._devices.usable
        try:
            options = _check(spec)
            footprint = _footprint(self._read(spec, options), options)
        except MotetError:  # reported by `available` and by `load`
            unknown = spec.memory_bytes or UNKNOWN_BYTES
            return list_placements(
                spec, usable, device_bytes=unknown, host_bytes=0, cpu_bytes=unknown
            )
        on_device = self._plan(footprint, usable[0].name if usable else CPU)
        on_cpu = self._plan(footprint, CPU)
        return list_placements(
            spec,
            usable,
            device_bytes=spec.memory_bytes or footprint.device_bytes(on_device),
            host_bytes=footprint.host_bytes(),
            cpu_bytes=spec.memory_bytes or footprint.cpu_bytes(on_cpu),
        )

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> LlamaCppModel:
        options = _check(spec)
        files = await asyncio.to_thread(self._read, spec, options)
        if reason := _find_lack(files, options):
            raise Unavailable(
                f"The model '{spec.name}' cannot be loaded: {reason}",
                code="chat_template_missing" if reason is TEMPLATE_MISSING else "model_missing",
                permanent=True,
            )
        plan = self._plan(_footprint(files, options), need.device)
        return await start_model(spec, options, files, plan, need)

    def _read(self, spec: ModelSpec, options: LlamaCppOptions) -> ModelFiles:
        projector = options.projector if isinstance(options, GenerationOptions) else None
        return self._files.read(
            spec.name, spec.source, projector.expanduser() if projector else None
        )

    def _plan(self, footprint: Footprint, device: str) -> LoadPlan:
        totals = self._context.total_bytes()
        return footprint.plan(device, totals.get(device, totals.get(RAM)))


def _check(spec: ModelSpec) -> LlamaCppOptions:
    check_task(spec, list(OPTIONS))
    options = OPTIONS[spec.task].of(spec.name, spec.options)
    if isinstance(options, GenerationOptions):
        for field in ("projector", "chat_template"):
            path: Path | None = getattr(options, field)
            if path and not path.expanduser().is_file():
                raise Invalid(
                    f"{spec.name}: options.{field}: there is no file '{path}'.",
                    code="invalid_model_options",
                    details={"field": f"options.{field}"},
                )
    return options


def _find_lack(files: ModelFiles, options: LlamaCppOptions) -> str | None:
    """Tell what a model lacks for its task."""
    if isinstance(options, LlamaCppCaptionOptions) and files.projector is None:
        return PROJECTOR_MISSING
    if isinstance(options, GenerationOptions) and not (
        options.chat_template or files.has_chat_template
    ):
        return TEMPLATE_MISSING
    return None


def _footprint(files: ModelFiles, options: LlamaCppOptions) -> Footprint:
    return Footprint(files.header, files.size_bytes, options)
