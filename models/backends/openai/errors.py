"""What an OpenAI-compatible server says when it fails, in our families."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import httpx2
import openai

from config.errors import Busy, Invalid, MotetError, TimedOut, Unavailable
from models.availability import RETRY_AFTER_S
from models.backends.common.network import list_causes, redacted_url
from models.backends.common.overflow import read_overflow
from models.backends.common.prompts import BROKEN, bad_picture

ExplainLoss: TypeAlias = Callable[[MotetError], Awaitable[MotetError]]

_NO_SERVER = (httpx2.ConnectError, httpx2.ConnectTimeout)
_TOO_LONG = "too large to process"
_NO_ROOM = ("out of memory", "out_of_memory", "failed to allocate")


class Translator:
    """Translates for one model of one server; never tells the key, only where it comes from."""

    def __init__(
        self,
        url: str,
        model: str,
        key_env: str | None,
        silence_s: float,
        explain_loss: ExplainLoss | None = None,
    ) -> None:
        """`model` is the name in models.yaml; `explain_loss` that of a server of ours."""
        self._url = redacted_url(url)
        self._explain_loss = explain_loss
        self.model = model
        self._key_env = key_env
        self._silence_s = silence_s

    def __call__(self, error: Exception) -> MotetError:
        # OpenAI's client wraps what the connection raised, and langchain-openai that once more.
        if any(isinstance(each, _NO_SERVER) for each in list_causes(error)):
            return self.unreachable()
        if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException | TimeoutError):
            return self._silent()
        if isinstance(error, openai.APIStatusError):
            return self._refused(error)
        if isinstance(error, openai.APIConnectionError | httpx2.HTTPError):
            return self._failed(
                f"The connection to {self._url} broke while '{self.model}' was at work.",
                error,
                code="model_connection_lost",
            )
        if isinstance(error, openai.LengthFinishReasonError):
            return self._cut_off()
        if isinstance(error, openai.OpenAIError):
            return self._failed(f"'{self.model}' failed: {error}", error, code="model_failed")
        return Invalid(f"'{self.model}' cannot be asked this: {error}", code="model_refused")

    async def explain_loss(self, error: MotetError) -> MotetError:
        """Return how our server ended, where that is why a request failed; else the error."""
        return await self._explain_loss(error) if self._explain_loss else error

    def unreachable(self) -> MotetError:
        return Unavailable(
            f"No server answers at {self._url}. Start it, or change the option `base_url` of the "
            "model.",
            code="openai_unreachable",
            details={"url": self._url, "model": self.model},
        )

    def missing(self, cause: str = "") -> MotetError:
        return Unavailable(
            f"The server at {self._url} does not have the model of '{self.model}'; `source` in "
            f"models.yaml names it. {cause}".rstrip(),
            code="model_missing",
            details={"url": self._url, "model": self.model},
        )

    def forbidden(self, status: int) -> MotetError:
        hint = (
            f"Check the key in the environment variable {self._key_env}."
            if self._key_env
            else "Name the environment variable that holds a key in the option `api_key_env`."
        )
        return Unavailable(
            f"The server at {self._url} refuses our key ({status}). {hint}",
            code="model_forbidden",
            details={"url": self._url, "model": self.model},
        )

    def cut_short(self) -> MotetError:
        return Unavailable(
            f"'{self.model}' broke off its answer without an end. Try again.",
            code="response_incomplete",
            details={"model": self.model},
        )

    def unreadable(self, why: str) -> MotetError:
        return Unavailable(
            f"What '{self.model}' at {self._url} answered cannot be used: {why}.",
            code="model_failed",
            details={"model": self.model, "cause": why},
        )

    def _cut_off(self) -> Unavailable:
        """Make the error of an answer that was to be read as a class, and is not whole."""
        return Unavailable(
            f"'{self.model}' did not answer in the form asked for: it stopped at its bound of "
            "tokens. Raise `max_tokens`, or ask for less.",
            code="structured_output_invalid",
            details={"model": self.model, "cut": "length"},
            permanent=True,
        )

    def _silent(self) -> TimedOut:
        return TimedOut(
            f"'{self.model}' at {self._url} said nothing for {self._silence_s:g} s. The model's "
            "option `timeout_s` bounds this.",
            code="model_timed_out",
            details={"model": self.model, "timeout_s": self._silence_s},
        )

    def _refused(self, error: openai.APIStatusError) -> MotetError:
        status, text = error.status_code, _message(error)
        details = {"model": self.model, "status": status, "cause": text}
        if status in (401, 403):
            return self.forbidden(status)
        if status == 404:
            return self.missing(text)
        if status == 503 and "loading" in text.lower():  # as llama.cpp's says
            return Unavailable(
                f"The server of '{self.model}' is starting: {text}.",
                code="model_starting",
                details=details,
                retry_after_s=RETRY_AFTER_S,
            )
        if status in (429, 503):
            return Busy(
                f"The server of '{self.model}' has no room now: {text}",
                code="model_busy",
                details=details,
                retry_after_s=_retry_after_s(error),
            )
        if any(phrase in text.lower() for phrase in _NO_ROOM):
            return Unavailable(
                f"The server of '{self.model}' has no room for this: {text}",
                code="out_of_memory",
                details=details,
            )
        if any(phrase in text.lower() for phrase in BROKEN):
            return bad_picture(text)
        # llama.cpp says so with status 500, others with a code of their own.
        if _TOO_LONG in text or (
            status < 500 and (error.code == "context_length_exceeded" or "context" in text.lower())
        ):
            message = f"'{self.model}' refuses: {text}"
            numbers = read_overflow(text, error.body)
            return Invalid(message, code="context_overflow", details={**details, **numbers})
        if status < 500:
            message = f"'{self.model}' refuses: {text}"
            return Invalid(message, code="model_refused", details=details)
        return self._failed(f"'{self.model}' failed: {text}", error, code="model_failed")

    def _failed(self, message: str, error: Exception, *, code: str) -> Unavailable:
        details: dict[str, Any] = {"model": self.model, "cause": str(error)}
        return Unavailable(message, code=code, details=details)


def _message(error: openai.APIStatusError) -> str:
    message = error.body.get("message") if isinstance(error.body, dict) else None
    return message if isinstance(message, str) else error.message


def _retry_after_s(error: openai.APIStatusError) -> float | None:
    try:
        return float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return None
