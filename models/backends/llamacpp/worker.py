"""The worker's side: a model, and llama.cpp's own HTTP server on a UNIX socket.

Owns the load alone: threads of llama.cpp answer the requests, which come by the socket and not
through the worker's connection. Invariant: no network port is opened.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import xllamacpp

from config.errors import Invalid, Unavailable
from models.workers.host import Answer, TaskHandle

WARNINGS = 2
"""What llama.cpp prints: no line for each request."""
ALL_LAYERS = 999
LAST_WORDS_S = 0.2
POOLING = {
    "mean": xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN,
    "cls": xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_CLS,
    "last": xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_LAST,
}


class LlamaCppHandler:
    """Serves one model until the process ends. Options: those of `driver.build_worker_options`."""

    def __init__(self, options: dict[str, Any]) -> None:
        params = xllamacpp.CommonParams()
        _set_model(params, options)
        _set_context(params, options)
        _set_device(params, options)
        try:
            self._server = xllamacpp.Server(params)
        except RuntimeError as error:
            # The reason is what it printed, which a thread of its own writes.
            time.sleep(LAST_WORDS_S)
            raise Unavailable("llama.cpp cannot load it.", code="load_failed") from error

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        raise NotImplementedError(method)


class DevicesHandler:
    """Tells which devices this build of llama.cpp can compute on, by llama.cpp's names."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._names = [device["name"] for device in xllamacpp.get_device_info()]

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        return {"devices": self._names}, b""


def _set_model(params: xllamacpp.CommonParams, options: dict[str, Any]) -> None:
    params.hostnames = [options["socket"]]
    params.model.path = options["path"]
    params.model_alias = {options["name"]}
    params.verbosity = WARNINGS
    params.ui = False
    params.warmup = False
    if options["projector"]:
        params.mmproj.path = options["projector"]
    if options["chat_template"]:
        params.chat_template = _read_template(options["chat_template"])
    if options["task"] == "embed":
        params.embedding = True
        # With a cache for each slot a text's mean is taken of a part of its tokens, where it is
        # computed together with shorter ones.
        params.kv_unified = True
        if options["pooling"]:
            params.pooling_type = POOLING[options["pooling"]]


def _set_context(params: xllamacpp.CommonParams, options: dict[str, Any]) -> None:
    # llama.cpp divides the whole among the slots.
    params.n_ctx = options["context"] * options["slots"]
    params.n_parallel = options["slots"]
    params.n_batch = options["batch"]
    params.n_ubatch = options["at_once"]
    params.cache_ram_mib = options["prompt_cache_mib"]
    # It would choose another context by itself than the one whose memory was reserved.
    params.fit_params = False


def _set_device(params: xllamacpp.CommonParams, options: dict[str, Any]) -> None:
    params.cpuparams.n_threads = options["threads"]
    params.cpuparams_batch.n_threads = options["prompt_threads"]
    if options["device"] == "cpu":
        params.n_gpu_layers = 0
        params.no_kv_offload = params.no_op_offload = True
        params.mmproj_use_gpu = False
        return
    layers = options["gpu_layers"]
    params.n_gpu_layers = ALL_LAYERS if layers is None else layers
    params.split_mode = xllamacpp.llama_split_mode.LLAMA_SPLIT_MODE_NONE
    params.main_gpu = options["device_number"]


def _read_template(file: str) -> str:
    try:
        return Path(file).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        message = f"options.chat_template: {file} cannot be read: {error}"
        raise Invalid(message, code="invalid_model_options") from error
