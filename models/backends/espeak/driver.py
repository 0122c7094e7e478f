"""espeak-ng in a worker: speaks at once, on any machine, offline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from config.errors import Invalid
from models.backends.common.base_driver import BaseDriver, estimate_in_ram
from models.backends.common.options import Options
from models.backends.common.speaking import SpeakingModel
from models.backends.common.worker_model import stop_on_failure
from models.backends.espeak.voices import VoiceList
from models.capabilities import SpeechRequest, Voice
from models.catalog.spec import ModelSpec
from models.driver import Progress
from models.scheduling.requirement import MemoryRequirement
from models.workers.process import WorkerProcess

WORKER = "models.backends.espeak.worker:EspeakHandler"
ESTIMATE_BYTES = 40_000_000
START_TIMEOUT_S = 30.0
ABOUT_TIMEOUT_S = 30.0
SENTENCE_CHARS = 700

WORDS_A_MINUTE = 175
SLOWEST, FASTEST = 80, 450
"""Words a minute, by the library."""


class EspeakOptions(Options):
    """`options:` of a model of this back end."""

    voice: str = Field("en-us", description="When none is asked for; `en-us+f3` is another throat.")
    speed: float = Field(1.0, ge=0.5, le=2.5, description="What a speed of 1 means.")
    pitch: int = Field(50, ge=0, le=99)
    timeout_s: float = Field(30.0, gt=0, description="Longest silence while it speaks a sentence.")


class EspeakDriver(BaseDriver):
    """Starts one worker process for each model."""

    backend = "espeak"
    tasks = ("speech",)
    packages = ("espeakng_loader",)

    def find_problem(self, spec: ModelSpec) -> str | None:
        EspeakOptions.of(spec.name, spec.options)
        return None

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        return estimate_in_ram(spec, ESTIMATE_BYTES)

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> EspeakModel:
        options = EspeakOptions.of(spec.name, spec.options)
        worker = await WorkerProcess.start(
            WORKER, name=spec.name, options={}, threads=1, start_timeout_s=START_TIMEOUT_S
        )
        async with stop_on_failure(worker):
            about = (await worker.call("about", timeout_s=ABOUT_TIMEOUT_S)).header
            voices = VoiceList(about["voices"], about["variants"])
            voices.find_file(None, None, options.voice)  # a wrong default is an error now
        return EspeakModel(worker, need, options, voices)


class EspeakModel(SpeakingModel):
    """The loaded voice, which is its own `Speech`."""

    def __init__(
        self,
        worker: WorkerProcess,
        need: MemoryRequirement,
        options: EspeakOptions,
        voices: VoiceList,
    ) -> None:
        super().__init__(worker, need, silence_s=options.timeout_s, sentence_chars=SENTENCE_CHARS)
        self._options = options
        self._voices = voices

    @property
    def voices(self) -> Sequence[Voice]:
        return self._voices.shown

    def _say_header(self, request: SpeechRequest) -> dict[str, Any]:
        if request.reference is not None:
            raise Invalid(
                "espeak-ng has voices of its own and cannot clone one. Leave `reference` out, or "
                "ask for a model that clones.",
                code="capability_unsupported",
                details={"field": "reference"},
            )
        options = self._options
        return {
            "voice": self._voices.find_file(request.voice, request.language, options.voice),
            "words_a_minute": _words_a_minute(request.speed, options.speed),
            "pitch": options.pitch,
        }


def _words_a_minute(speed: float, own: float) -> int:
    words = round(WORDS_A_MINUTE * own * speed)
    if not SLOWEST <= words <= FASTEST:
        least, most = (bound / WORDS_A_MINUTE / own for bound in (SLOWEST, FASTEST))
        raise Invalid(
            f"A speed of {speed:g} is beyond this voice, which has {least:.2f} to {most:.2f}.",
            code="capability_unsupported",
            details={"field": "speed", "min": least, "max": most},
        )
    return words
