"""`options:` of a model of an OpenAI-compatible server, by its task."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from config.errors import Unavailable
from models.backends.common.network import redacted_url
from models.backends.common.options import Options
from models.capabilities.sampling import Sampling, TokenChoice
from models.catalog.spec import Task
from models.servers.spec import ServeSpec

NO_KEY = "none"  # the client demands one, also for servers that do not
OWN_FIELDS = ("file", "input", "messages", "model", "prompt", "stream")
"""Of requests: what Motet alone writes."""


class OpenAIOptions(Options):
    """What every task has: where the server is, or how it is started."""

    base_url: str = Field("", pattern=r"^(https?://.*)?$", description="Up to and with `/v1`.")
    serve: ServeSpec | None = Field(None, description="The server that Motet starts for it.")
    api_key_env: str | None = Field(None, description="Environment variable with the key.")
    timeout_s: float = Field(300.0, gt=0, description="Longest silence while it answers.")
    extra: dict[str, JsonValue] = Field(
        default_factory=dict, description="Fields of its own for the body of each request."
    )

    @field_validator("extra")
    @classmethod
    def _leave_own_fields(cls, extra: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if own := [name for name in OWN_FIELDS if name in extra]:
            raise ValueError(f"`{own[0]}` is written by Motet; leave it out")
        return extra

    @model_validator(mode="after")
    def _one_place(self) -> OpenAIOptions:
        if bool(self.base_url) == (self.serve is not None):
            raise ValueError("name a `base_url`, or a server to start in `serve`; one of the two")
        return self

    def key(self) -> str:
        """Read the key. Raises `Unavailable` naming the variable that is not set."""
        if self.api_key_env is None:
            return NO_KEY
        if key := os.environ.get(self.api_key_env):
            return key
        where = redacted_url(self.base_url) if self.base_url else "the server"
        raise Unavailable(
            f"The environment variable {self.api_key_env} is not set; it should hold the key for "
            f"{where}.",
            code="model_key_missing",
            details={"variable": self.api_key_env},
        )


class OpenAIChatOptions(OpenAIOptions, Sampling):
    context: int | None = Field(
        None, ge=64, description="Tokens of question and answer together; what the server tells."
    )
    reasoning_effort: str | None = None
    usage: bool = Field(True, description="Ask for token counts; some old servers refuse.")


class OpenAICaptionOptions(OpenAIOptions, TokenChoice):
    detail: Literal["low", "high", "auto"] | None = None


class OpenAIEmbedOptions(OpenAIOptions):
    dimensions: int | None = Field(None, ge=1, description="Numbers in a vector.")


class OpenAIImageOptions(OpenAIOptions):
    width: int = Field(1024, ge=16, description="When the caller names none.")
    height: int = Field(1024, ge=16)
    edits: bool = Field(True, description="Whether it edits pictures too.")
    sends: list[Literal["seed", "steps", "negative_prompt", "guidance", "strength"]] = Field(
        default_factory=list,
        description="What it understands beyond OpenAI's own fields, sent by these names.",
    )
    response_format: bool = Field(True, description="Ask for base64; some models refuse.")


class OpenAISpeechOptions(OpenAIOptions):
    voice: str = Field("alloy", description="When the caller names none.")
    voices: list[str] = Field(default_factory=list, description="All it has; empty: not known.")
    format: Literal["wav", "pcm"] = "wav"
    rate: int = Field(24_000, ge=8000, description="Of `pcm`, which does not tell.")


class OpenAITranscribeOptions(OpenAIOptions):
    segments: bool = Field(True, description="Ask for times (`verbose_json`); some models refuse.")


OPTIONS: dict[Task, type[OpenAIOptions]] = {
    "chat": OpenAIChatOptions,
    "caption": OpenAICaptionOptions,
    "embed": OpenAIEmbedOptions,
    "image": OpenAIImageOptions,
    "speech": OpenAISpeechOptions,
    "transcribe": OpenAITranscribeOptions,
}
