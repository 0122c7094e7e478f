"""`motet doctor`: what this machine has, what was chosen and why, and what is missing."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.util import find_spec
from typing import Any

from rich.console import Console

from config.settings import Settings
from server.client import answer, connect
from server.console import listing, say

EXTRAS = {
    "fast": ("openvino", "faster embedding", "pip install -e '.[fast]'"),
    "notebooks": ("jupyterlab", "the notebooks", "pip install -e '.[notebooks]'"),
}
GIB = 2**30


async def examine(settings: Settings, console: Console) -> None:
    """Print the examination."""
    _print_machine(settings, console)
    async with connect(settings) as client:
        found = await answer(await client.get("/models"))
        agents = await answer(await client.get("/agents"))
        tools = await answer(await client.get("/tools"))
    print_models(found, console)
    _print_missing(found, console)
    for problem in [*agents["problems"], *tools["problems"]]:
        say(console, ("not loaded: ", "red"), problem["message"])


def print_models(found: dict[str, Any], console: Console) -> None:
    """The answer of GET /models as tables."""
    print_roles(found["roles"], console)
    rows = (
        [
            *(model[key] for key in ("name", "task", "backend", "state")),
            _size(model["memory_bytes"]),
        ]
        for model in found["models"]
    )
    console.print(listing(("model", "task", "back end", "state", "memory"), rows), "")
    for device in found["memory"]:
        console.print(
            f"memory {device['device']}: {device['free_bytes'] / GIB:.1f} GiB free for models, "
            f"{device['reserved_bytes'] / GIB:.1f} GiB reserved, "
            f"of {device['total_bytes'] / GIB:.1f} GiB"
        )


def print_roles(roles: list[dict[str, Any]], console: Console) -> None:
    """What each role resolves to, why, and what was passed over."""
    for role in roles:
        if choice := role["choice"]:
            chosen = ((choice["model"], "green"), f": {choice['reason']}")
            say(console, (role["role"], "bold"), " → ", *chosen)
            for passed in choice["passed_over"]:
                say(console, (f"  not {passed['model']}: {passed['why']}", "dim"))
        else:
            # A role without candidates is one that the user may fill: nothing is broken.
            color = "red" if role["candidates"] else "dim"
            nothing = (f"nothing: {role['error']['message']}", color)
            say(console, (role["role"], "bold"), " → ", nothing)


def _print_machine(settings: Settings, console: Console) -> None:
    disk = shutil.disk_usage(settings.home if settings.home.exists() else settings.home.parent)
    console.print(
        f"Motet 0.1.0, Python {platform.python_version()}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} CPU cores\n"
        f"data folder {settings.home}: {disk.free / GIB:.0f} GiB free"
    )


def _print_missing(found: dict[str, Any], console: Console) -> None:
    for extra, (module, purpose, how) in EXTRAS.items():
        if find_spec(module) is None:
            say(console, ("not installed: ", "yellow"), f"{extra}, for {purpose}: {how}")
    chat = next((role for role in found["roles"] if role["role"] == "chat"), None)
    if chat and chat["choice"] and chat["choice"]["backend"] == "reader":
        say(
            console,
            ("no language model: ", "yellow"),
            "answers are sentences out of your documents. For one that writes: install Ollama and "
            "`ollama pull llama3.2`, or name an OpenAI-compatible server in models.yaml. Motet "
            "finds it without a restart.",
        )


def _size(memory_bytes: int | None) -> str:
    return f"{memory_bytes / GIB:.2f} GiB" if memory_bytes else ""
