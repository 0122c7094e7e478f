"""`motet doctor`: what this machine has, what was chosen and why, and what is missing."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import httpx
from rich.console import Console

from config.errors import MotetError
from config.settings import Settings
from server.cli.client import connect, read_answer
from server.cli.console import say
from server.cli.model_tables import print_devices, print_models, print_recommended
from tools.artifact_record import list_damaged

EXTRAS = {
    "fast": ("openvino", "faster embedding", "pip install -e '.[fast]'"),
    "llamacpp": ("xllamacpp", "language models in GGUF files", "pip install -e '.[llamacpp]'"),
    "whisper": ("faster_whisper", "hearing on a CPU", "pip install -e '.[whisper]'"),
    "notebooks": ("jupyterlab", "the notebooks", "pip install -e '.[notebooks]'"),
}
GIB = 2**30
ON_CPU_BYTES = 5_000_000_000
"""Larger language models take minutes to answer on a CPU."""


async def examine(settings: Settings, console: Console) -> None:
    """Print what the service says of this machine, and what is missing."""
    _print_machine(settings, console)
    async with connect(settings) as client:
        models = await read_answer(await client.get("/models"))
        profile = await read_answer(await client.get("/models/profile"))
        agents = await read_answer(await client.get("/agents"))
        tools = await read_answer(await client.get("/tools"))
        problems = await _list_problems(client, settings)
    print_devices(profile, console)
    _print_pytorch(profile, console)
    console.print()
    print_models(models, console)
    console.print()
    print_recommended(profile, console)
    console.print()
    _print_missing(models, profile, console)
    for problem in [*agents["problems"], *tools["problems"]]:
        say(console, ("not loaded: ", "red"), problem["message"])
    for message in problems:
        say(console, ("problem: ", "red"), message)


async def _list_problems(client: httpx.AsyncClient, settings: Settings) -> Sequence[str]:
    """List what keeps the service from being ready, what is set aside, and damaged artifacts."""
    try:
        known = (await read_answer(await client.get("/ready")))["problems"]
    except MotetError as error:
        known = error.details.get("reasons", [error.as_dict()])
    artifacts = await asyncio.to_thread(lambda: [*list_damaged(settings.home / "artifacts")])
    listed = [each for each in known if each["code"] != "artifact_damaged"]
    return [*(each["message"] for each in listed), *(each.message for each in artifacts)]


def _print_machine(settings: Settings, console: Console) -> None:
    home = settings.home
    disk = shutil.disk_usage(next(each for each in (home, *home.parents) if each.exists()))
    console.print(
        f"Motet 0.1.0, Python {platform.python_version()}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} CPU cores\n"
        f"data folder {settings.home}: {disk.free / GIB:.0f} GiB free"
    )


def _print_pytorch(profile: dict[str, Any], console: Console) -> None:
    build = profile["pytorch"]
    targets = [f"{key} {build[key]}" for key in ("cuda", "hip", "xpu") if build[key]]
    console.print(
        f"PyTorch {build['version'] or 'is missing'}, for {targets[0] if targets else 'CPUs'}"
    )


def _print_missing(models: dict[str, Any], profile: dict[str, Any], console: Console) -> None:
    for extra, (module, purpose, how) in EXTRAS.items():
        if find_spec(module) is None:
            say(console, ("not installed: ", "yellow"), f"{extra}, for {purpose}: {how}")
    chat = next((role for role in models["roles"] if role["role"] == "chat"), None)
    if chat and chat["choice"] and chat["choice"]["backend"] == "reader":
        say(
            console,
            ("no language model: ", "yellow"),
            "answers are sentences out of your documents. For one that writes:",
        )
        say(console, "  ", (choose_command(profile), "bold"), "  # or see `motet models add`")


def choose_command(profile: dict[str, Any]) -> str:
    """Choose the command that gets the language model for a machine without Ollama."""
    recommended = {each["role"]: each for each in profile["recommended"]}
    chat = recommended["chat"]
    if chat["backend"] == "llamacpp":
        return str(chat["command"])
    # Recommended by Ollama, on its GPU: without it the CPU computes, on which small ones are quick.
    small = [
        each
        for each in profile["offers"]
        if each["backend"] == "llamacpp" and each["fits"] and each["memory_bytes"] <= ON_CPU_BYTES
    ]
    return f"motet models add {max(small, key=lambda each: each['memory_bytes'])['name']}"
