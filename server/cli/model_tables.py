"""Models, roles, devices and recommendations in the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from models.catalog.file import OPTIONAL_ROLES
from server.cli.console import listing, say

GB = 10**9
FITS = {"together": "yes", "in_turn": "in turn with the others", "no": "no"}


def print_models(found: dict[str, Any], console: Console) -> None:
    """The answer of GET /models as tables."""
    if found["environment"]:
        say(console, "environment ", (found["environment"], "bold"))
    print_roles(found["roles"], console)
    rows = (
        [*(model[key] for key in ("name", "task", "backend")), *_state(model)]
        for model in found["models"]
    )
    console.print(listing(("model", "task", "back end", "state", "device", "memory"), rows), "")
    for model in found["models"]:
        if model["problem"]:
            say(console, (f"{model['name']}: ", "yellow"), model["problem"])
    for device in found["memory"]:
        console.print(
            f"memory {device['device']}: {size(device['free_bytes'])} free for models, "
            f"{size(device['reserved_bytes'])} reserved, of {size(device['total_bytes'])}"
        )
        if device["problem"]:
            say(console, (f"  not read anew: {device['problem']}", "yellow"))
    for problem in found["problems"]:
        say(console, ("models.yaml is not taken over: ", "red"), problem["message"])


def print_roles(roles: list[dict[str, Any]], console: Console) -> None:
    """What each role resolves to, why, and what was passed over."""
    for role in roles:
        if choice := role["choice"]:
            chosen = ((choice["model"], "green"), f": {choice['reason']}")
            say(console, (role["role"], "bold"), " → ", *chosen)
            for passed in choice["passed_over"]:
                say(console, (f"  not {passed['model']}: {passed['why']}", "dim"))
        else:
            # Where no model comes along the user may name one: nothing is broken.
            color = "dim" if role["role"] in OPTIONAL_ROLES else "red"
            nothing = (f"nothing: {role['error']['message']}", color)
            say(console, (role["role"], "bold"), " → ", nothing)


def print_devices(found: dict[str, Any], console: Console) -> None:
    """The devices of GET /models/profile, and what is wrong with them."""
    for device in found["devices"]:
        free = f"{size(device['free_bytes'])} free of {size(device['total_bytes'])}"
        if "model" not in device:
            console.print(f"memory: {free}")
            continue
        shared = ", shared with the machine" if device["unified"] else ""
        driver = f", driver {device['driver']}" if device["driver"] else ""
        say(console, (device["device"], "bold"), f": {device['model']}, {free}{shared}{driver}")
        if device["problem"]:
            say(console, (f"  {device['problem']}", "yellow"))
    if len(found["devices"]) == 1 and not found["problems"]:
        console.print("no GPU was found: models compute on the CPU")
    for problem in found["problems"]:
        say(console, ("devices: ", "yellow"), problem)


def print_profile(found: dict[str, Any], console: Console) -> None:
    """The whole answer of GET /models/profile."""
    print_devices(found, console)
    console.print()
    print_recommended(found, console)


def print_recommended(found: dict[str, Any], console: Console) -> None:
    """The models that suit this machine: what each takes, whether all fit, how to get it."""
    say(console, ("models that suit this machine", "bold"), f" ({found['profile']['title']})")
    rows = (
        [
            each["role"],
            " ".join(filter(None, [each["name"], each["quantisation"]])),
            each["device"],
            size(each["memory_bytes"]),
            FITS[each["fit"]],
        ]
        for each in found["recommended"]
    )
    console.print(listing(("role", "model", "device", "takes", "beside the others"), rows))
    for each in found["recommended"]:
        if not each["here"]:
            said = f"  # {size(each['download_bytes'])}. {each['note']}".rstrip(". ")
            say(console, (each["command"], "bold"), (said, "dim"))


def profile_yaml(found: dict[str, Any]) -> str:
    """A models.yaml whose roles try the recommended models first, then what they try now."""
    now = {role["role"]: role["candidates"] for role in found["roles"]}
    lines = [f"# {found['profile']['title']}: the models that suit it.", "version: 1", "roles:"]
    for each in found["recommended"]:
        if each["command"]:
            rest = [name for name in now.get(each["role"], []) if name != each["name"]]
            lines += [f"  # {each['command']}", f"  {each['role']}:"]
            lines += [f"    - {name}" for name in (each["name"], *rest)]
    return "\n".join(lines)


def print_pulls(pulls: list[dict[str, Any]], console: Console) -> None:
    """Each pull with how far it is, and why one failed."""
    rows = (
        [
            pull["name"],
            pull["state"],
            size(pull["completed_bytes"]),
            size(pull["total_bytes"]),
            pull["error"]["message"] if pull["error"] else pull["status"],
        ]
        for pull in pulls
    )
    console.print(listing(("model", "state", "here", "of", ""), rows))


def size(value: int | None) -> str:
    """Bytes for people."""
    if value is None:
        return ""
    return f"{value / GB:.1f} GB" if value >= GB / 10 else f"{value / 10**6:.0f} MB"


def _state(model: dict[str, Any]) -> list[str]:
    state = f"{model['state']}, pinned" if model["pin"] else model["state"]
    return [state, model["device"] or "", size(model["memory_bytes"])]
