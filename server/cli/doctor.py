"""`motet doctor`: what this machine has, what was chosen and why, and what is missing."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.util import find_spec
from typing import Any

from rich.console import Console

from config.settings import Settings
from server.cli.client import connect, read_answer
from server.cli.console import say
from server.cli.model_tables import print_devices, print_models, print_recommended

EXTRAS = {
    "fast": ("openvino", "faster embedding", "pip install -e '.[fast]'"),
    "notebooks": ("jupyterlab", "the notebooks", "pip install -e '.[notebooks]'"),
}
GIB = 2**30


async def examine(settings: Settings, console: Console) -> None:
    """Print what the service says of this machine, and what is missing."""
    _print_machine(settings, console)
    async with connect(settings) as client:
        models = await read_answer(await client.get("/models"))
        profile = await read_answer(await client.get("/models/profile"))
        agents = await read_answer(await client.get("/agents"))
        tools = await read_answer(await client.get("/tools"))
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


def _print_machine(settings: Settings, console: Console) -> None:
    disk = shutil.disk_usage(settings.home if settings.home.exists() else settings.home.parent)
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
            "answers are sentences out of your documents. For one that writes: install Ollama and "
            f"`{_chat_command(profile)}`, or name an OpenAI-compatible server in models.yaml. "
            "Motet finds it without a restart.",
        )


def _chat_command(profile: dict[str, Any]) -> str:
    commands = {each["role"]: each["command"] for each in profile["recommended"]}
    return str(commands["chat"])
