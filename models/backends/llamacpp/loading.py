"""From a plan to a model that answers: its worker, its socket, its capability."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx2

from config.errors import Unavailable
from models.backends.common.base_driver import ABOUT_TIMEOUT_S, LOAD_TIMEOUT_S
from models.backends.common.worker_model import stop_on_failure
from models.backends.llamacpp.errors import HOST, explain_failed_load
from models.backends.llamacpp.model import (
    SOCKET,
    Abilities,
    LlamaCppModel,
    make_socket_folder,
    remove_with,
)
from models.backends.llamacpp.model_files import ModelFiles
from models.backends.llamacpp.needs import LoadPlan
from models.backends.llamacpp.options import (
    LlamaCppEmbedOptions,
    LlamaCppOptions,
)
from models.backends.openai.context import takes_tools
from models.catalog.spec import ModelSpec
from models.devices import CPU
from models.devices.cores import count_cores
from models.scheduling.requirement import MemoryRequirement
from models.workers.process import WorkerProcess

WORKER = "models.backends.llamacpp.worker:LlamaCppHandler"
CAPABILITIES = "models.backends.llamacpp.capabilities"
"""Imported when a model is loaded: LangChain's chat models cost 0.8 s and 45 MB."""
SPIN_ROUNDS = 1000
"""So long a thread waits for the others before it sleeps (`GOMP_SPINCOUNT`). As it comes, some
milliseconds: on two cores of which others used one, two threads wrote 1 to 5 tokens a second, with
this 17. On two idle cores it is 35 in place of 40; with sleep alone 24."""
NO_GPUS = dict.fromkeys(("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"), "-1")
"""A build for GPUs would take some of their memory for a model on the CPU too."""


async def start_model(
    spec: ModelSpec,
    options: LlamaCppOptions,
    files: ModelFiles,
    plan: LoadPlan,
    need: MemoryRequirement,
) -> LlamaCppModel:
    """Start the worker of a model and wait until it answers.

    Raises `Unavailable` or `TimedOut`; nothing is left then, nor when this is cancelled.
    """
    folder = await asyncio.to_thread(make_socket_folder)
    try:
        worker = await WorkerProcess.start(
            WORKER,
            name=spec.name,
            options=build_worker_options(spec, options, files, plan, need.device, folder),
            env={**_waiting(), **(NO_GPUS if need.device == CPU else {})},
            start_timeout_s=LOAD_TIMEOUT_S,
        )
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, Unavailable):
            raise explain_failed_load(spec.name, error) from error
        raise
    remove_with(worker, folder)
    async with stop_on_failure(worker):
        return await _connect(worker, options, files, folder / SOCKET, need)


async def _connect(
    worker: WorkerProcess,
    options: LlamaCppOptions,
    files: ModelFiles,
    socket: Path,
    need: MemoryRequirement,
) -> LlamaCppModel:
    """Make the capability of a model that is served on a socket."""
    abilities = await read_abilities(str(socket))
    module = await asyncio.to_thread(import_module, CAPABILITIES)
    capability = await asyncio.to_thread(
        module.make_capability, options, abilities, worker, str(socket), files
    )
    model = LlamaCppModel(worker, need, capability)
    try:
        if isinstance(options, LlamaCppEmbedOptions):
            await capability.open()
    except BaseException:
        await capability.aclose()
        raise
    return model


async def read_abilities(socket: str) -> Abilities:
    """Ask the server what it made of the model's file and options."""
    transport = httpx2.AsyncHTTPTransport(uds=socket)
    async with httpx2.AsyncClient(transport=transport, timeout=ABOUT_TIMEOUT_S) as client:
        props = (await client.get(f"{HOST}/props")).json()
    return Abilities(
        # llama.cpp rounds the context, and bounds it by what the model was trained for.
        context=int(props["default_generation_settings"]["n_ctx"]),
        sees=bool(props["modalities"]["vision"]),
        # llama.cpp would leave them out of the prompt without a word.
        takes_tools=bool(takes_tools(props)),
    )


def build_worker_options(
    spec: ModelSpec,
    options: LlamaCppOptions,
    files: ModelFiles,
    plan: LoadPlan,
    device: str,
    folder: Path,
) -> dict[str, Any]:
    """Return what the handler in the worker reads."""
    own: Mapping[str, Any] = options.model_dump(mode="json")
    # A token takes all its threads in step: on a core that somebody else needs too, each waits.
    cores = count_cores()
    return {
        "name": spec.name,
        "task": spec.task,
        "path": str(files.model),
        "socket": str(folder / SOCKET),
        "device": device,
        "device_number": int(device.partition(":")[2] or 0),
        "threads": options.threads or max(1, cores - 1),
        "prompt_threads": options.threads or cores,
        "projector": str(files.projector or ""),
        "chat_template": own.get("chat_template"),
        "pooling": own.get("pooling") or ("" if files.header.get("pooling_type") else "mean"),
        "gpu_layers": options.gpu_layers,
        "prompt_cache_mib": options.prompt_cache_mib,
        "context": plan.context,
        "slots": plan.slots,
        "batch": plan.batch,
        "at_once": plan.at_once,
    }


def _waiting() -> dict[str, str]:
    """Return the variable that says how threads wait, unless this process has it."""
    return {"GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", str(SPIN_ROUNDS))}
