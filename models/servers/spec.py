"""`serve:` of a model: the server that Motet starts for it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

DEVICE = r"^(ram|mps|(cuda|xpu):\d+)$"


class _ServePart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HttpReady(_ServePart):
    """It is ready when a GET of `path` is answered with success."""

    type: Literal["http"] = "http"
    path: str = Field("/health", pattern="^/")


class TcpReady(_ServePart):
    """It is ready when its port takes connections."""

    type: Literal["tcp"]


class LogReady(_ServePart):
    """It is ready when it prints a line that `pattern`, a regular expression, is found in."""

    type: Literal["log"]
    pattern: str

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        return pattern


Ready = Annotated[HttpReady | TcpReady | LogReady, Field(discriminator="type")]


class ServeSpec(_ServePart):
    """A command or a container. In `command`, `args` and `env`, {port} and {source} are filled in.

    `memory` is what it takes, bytes by device ("ram", "cuda:0"); RAM is measured once it runs.
    """

    command: list[str] | None = Field(None, min_length=1)
    image: str | None = None
    args: list[str] = Field(default_factory=list, description="Of the container's command.")
    port: int | Literal["auto"] = "auto"
    container_port: int = Field(8000, ge=1, le=65535, description="Within the container.")
    env: dict[str, str] = Field(default_factory=dict)
    pass_env: list[str] = Field(
        default_factory=list, description="Names of Motet's own variables that it gets too."
    )
    folder: str | None = Field(None, description="Where the command is started.")
    volumes: dict[str, str] = Field(
        default_factory=dict, description="Of the container: a volume or folder, and where it is."
    )
    path: str = Field("/v1", pattern="^/", description="Of the API on its port.")
    ready: Ready = HttpReady()
    start_timeout_s: float = Field(300.0, gt=0)
    stop_grace_s: float = Field(10.0, ge=0)
    memory: dict[str, int] = Field(default_factory=dict)

    @field_validator("command", mode="before")
    @classmethod
    def _words(cls, command: object) -> object:
        return shlex.split(command) if isinstance(command, str) else command

    @field_validator("port")
    @classmethod
    def _possible(cls, port: int | str) -> int | str:
        if isinstance(port, int) and not 1 <= port <= 65535:
            raise ValueError("must be a port from 1 to 65535, or auto")
        return port

    @field_validator("memory")
    @classmethod
    def _devices(cls, memory: dict[str, int]) -> dict[str, int]:
        for device, size in memory.items():
            if not re.match(DEVICE, device) or size < 0:
                raise ValueError('holds bytes by device: "ram", "mps", or as "cuda:0"')
        return memory

    @model_validator(mode="after")
    def _one_kind(self) -> ServeSpec:
        if (self.command is None) == (self.image is None):
            raise ValueError("name a `command` or an `image`, one of the two")
        return self

    def environment(self, port: int, source: str, own: Mapping[str, str]) -> dict[str, str]:
        """Collect what its entry gives it, and what it names of our `own` environment."""
        passed = {name: own[name] for name in self.pass_env if name in own}
        return passed | {name: self.fill(text, port, source) for name, text in self.env.items()}

    def fill(self, text: str, port: int, source: str) -> str:
        """Fill into a word of the command what only the start knows."""
        return text.replace("{port}", str(port)).replace("{source}", source)
