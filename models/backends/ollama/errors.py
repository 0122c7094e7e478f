"""What Ollama says when it fails, in our families."""

from __future__ import annotations

import json

import httpx

from config.errors import Busy, Invalid, MotetError, TimedOut, Unavailable
from models.backends.common.network import redacted_url
from models.backends.common.overflow import read_overflow
from models.backends.common.prompts import BROKEN, bad_picture

RETRY_AFTER_S = 2.0  # Ollama sends no Retry-After when its queue is full
_OVERFLOW = ("exceeds the available context", "input length exceeds", "context length")
_UNABLE = ("does not support", "image input is not supported", "Multimodal data provided")
_MALFORMED = ("option ", "invalid format", "invalid options", "template: ")
_NO_ROOM = ("out of memory", "more system memory", "cudaMalloc failed", "failed to allocate")
_RUNNER_DIED = ("unexpected EOF", "runner process has terminated", "runner process no longer")


def unreachable(url: str, cause: str = "") -> Unavailable:
    because = f" ({cause})" if cause else ""
    return Unavailable(
        f"Ollama does not answer at {redacted_url(url)}{because}. Install it from "
        "ollama.com, start it with `ollama serve` or let Motet start it (`backends: ollama: "
        "start: auto` in models.yaml), or set MOTET_OLLAMA_URL to where it runs.",
        code="ollama_unreachable",
        details={"url": redacted_url(url)},
    )


def no_ollama(url: str) -> Unavailable:
    return Unavailable(
        f"What answers at {redacted_url(url)} is not Ollama. Set MOTET_OLLAMA_URL to where "
        "it runs.",
        code="ollama_unreachable",
        details={"url": redacted_url(url)},
    )


def missing(model: str, tag: str) -> Unavailable:
    return Unavailable(
        f"Ollama does not have the model of '{model}'. Get it with `ollama pull {tag}`.",
        code="model_missing",
        details={"model": model, "hint": f"ollama pull {tag}"},
    )


def from_transport(error: Exception, url: str, model: str, silence_s: float) -> MotetError:
    """Translate an exception of httpx, or the built-in one that Ollama's client makes of it."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | ConnectionError):
        return unreachable(url, "timed out" if isinstance(error, httpx.ConnectTimeout) else "")
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return TimedOut(
            f"Ollama said nothing for {silence_s:g} s while '{model}' was at work. The model's "
            "option `timeout_s` bounds this.",
            code="model_timed_out",
            details={"model": model, "timeout_s": silence_s},
        )
    return Unavailable(
        f"The connection to Ollama at {redacted_url(url)} broke while '{model}' was at work.",
        code="model_connection_lost",
        details={"model": model, "cause": str(error) or type(error).__name__},
    )


def from_answer(status: int, text: str, model: str, tag: str) -> MotetError:
    """Translate an error that Ollama sent: `status` is its HTTP status, or -1 in mid-stream.

    `model` is the name in models.yaml, `tag` that in Ollama.
    """
    text = _unwrapped(text)
    details = {"model": model, "status": status, "cause": text}
    if status == 404:
        return missing(model, tag)
    if status == 503:
        return Busy(
            "Ollama's queue of models to load is full. Try again in a moment.",
            code="model_busy",
            details=details,
            retry_after_s=RETRY_AFTER_S,
        )
    if any(phrase in text for phrase in _NO_ROOM):
        return Unavailable(
            f"Ollama has no room for '{model}': {text}", code="out_of_memory", details=details
        )
    if any(phrase in text.lower() for phrase in BROKEN):
        return bad_picture(text)
    if any(phrase in text for phrase in _OVERFLOW):
        return Invalid(
            f"The prompt is longer than the context of '{model}'. Shorten it, or raise the "
            "model's option `num_ctx`.",
            code="context_overflow",
            details={**details, **read_overflow(text)},
        )
    if any(phrase in text for phrase in _UNABLE):
        return Invalid(
            f"'{model}' cannot do this: {text}", code="capability_unsupported", details=details
        )
    if status in (400, 422) or (status == 500 and text.startswith(_MALFORMED)):
        return Invalid(
            f"Ollama refused the request to '{model}': {text}",
            code="model_refused",
            details=details,
        )
    if status in (401, 403):
        return Unavailable(
            f"Ollama does not let us use '{model}': {text}", code="model_forbidden", details=details
        )
    if any(phrase in text for phrase in _RUNNER_DIED):
        message = f"The process of '{model}' in Ollama ended: {text}"
        return Unavailable(message, code="worker_died", details=details)
    return Unavailable(f"'{model}' failed in Ollama: {text}", code="model_failed", details=details)


def unreadable(model: str, cause: str) -> Unavailable:
    return Unavailable(
        f"What Ollama answered for '{model}' cannot be read ({cause}).",
        code="model_failed",
        details={"model": model, "cause": cause},
    )


def tells_of_loss(error: MotetError) -> bool:
    """Tell whether the model is not in memory any more: its server or its runner is gone."""
    return error.code in ("worker_died", "ollama_unreachable", "out_of_memory")


def _unwrapped(text: str) -> str:
    """Read the message in an error that the runner wrote as JSON and Ollama hands on as a text."""
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text


def cut_short(model: str) -> Unavailable:
    return Unavailable(
        f"'{model}' broke off its answer without an end; Ollama does so when a model repeats "
        "itself. Try again, or take another model.",
        code="response_incomplete",
        details={"model": model},
    )
