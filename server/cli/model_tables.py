"""Models, roles, devices and recommendations in the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from models.catalog.file import OPTIONAL_ROLES
from server.cli.console import listing, say

GB = 10**9
FITS = {"together": "yes", "in_turn": "in turn with the others", "no": "no"}


def print_models(models: dict[str, Any], console: Console) -> None:
    """Print the answer of GET /models as tables."""
    if models["environment"]:
        say(console, "environment ", (models["environment"], "bold"))
    print_roles(models["roles"], console)
    rows = (
        [*(model[key] for key in ("name", "task", "backend")), *_state(model)]
        for model in models["models"]
    )
    console.print(listing(("model", "task", "back end", "state", "device", "memory"), rows), "")
    for model in models["models"]:
        if model["problem"]:
            say(console, (f"{model['name']}: ", "yellow"), model["problem"])
    for device in models["memory"]:
        free, reserved, total = (
            format_bytes(device[key]) for key in ("free_bytes", "reserved_bytes", "total_bytes")
        )
        console.print(
            f"memory {device['device']}: {free} free for models, {reserved} reserved, of {total}"
        )
        if device["problem"]:
            say(console, (f"  not read anew: {device['problem']}", "yellow"))
    for problem in models["problems"]:
        say(console, ("models.yaml is not taken over: ", "red"), problem["message"])


def print_roles(roles: list[dict[str, Any]], console: Console) -> None:
    """Print what each role resolves to, why, and what was passed over."""
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


def print_devices(profile: dict[str, Any], console: Console) -> None:
    """Print the devices of GET /models/profile, and what is wrong with them."""
    for device in profile["devices"]:
        free = f"{format_bytes(device['free_bytes'])} free of {format_bytes(device['total_bytes'])}"
        if "model" not in device:
            console.print(f"memory: {free}")
            continue
        shared = ", shared with the machine" if device["unified"] else ""
        driver = f", driver {device['driver']}" if device["driver"] else ""
        say(console, (device["device"], "bold"), f": {device['model']}, {free}{shared}{driver}")
        if device["problem"]:
            say(console, (f"  {device['problem']}", "yellow"))
    if len(profile["devices"]) == 1 and not profile["problems"]:
        console.print("no GPU was found: models compute on the CPU")
    for problem in profile["problems"]:
        say(console, ("devices: ", "yellow"), problem)


def print_profile(profile: dict[str, Any], console: Console) -> None:
    """Print the whole answer of GET /models/profile."""
    print_devices(profile, console)
    console.print()
    print_recommended(profile, console)


def print_recommended(profile: dict[str, Any], console: Console) -> None:
    """Print the models that suit this machine: what each takes, whether all fit, how to get it."""
    say(console, ("models that suit this machine", "bold"), f" ({profile['profile']['title']})")
    rows = (
        [
            each["role"],
            " ".join(filter(None, [each["name"], each["quantisation"]])),
            each["device"],
            format_bytes(each["memory_bytes"]),
            FITS[each["fit"]],
        ]
        for each in profile["recommended"]
    )
    console.print(listing(("role", "model", "device", "takes", "beside the others"), rows))
    for each in profile["recommended"]:
        if not each["here"]:
            said = f"  # {format_bytes(each['download_bytes'])}. {each['note']}".rstrip(". ")
            say(console, (each["command"], "bold"), (said, "dim"))


def profile_yaml(profile: dict[str, Any]) -> str:
    """Write a models.yaml whose roles try the recommended models first, then those of now."""
    now = {role["role"]: role["candidates"] for role in profile["roles"]}
    chosen = [each for each in profile["recommended"] if each["command"]]
    lines = [f"# {profile['profile']['title']}: the models that suit it.", "version: 1", "models:"]
    for each in chosen:
        fields = f'task: {each["task"]}, backend: {each["backend"]}, source: "{each["source"]}"'
        lines += [f"  # motet models pull {each['name']}", f"  {each['name']}: {{{fields}}}"]
    lines.append("roles:")
    for each in chosen:
        rest = [name for name in now.get(each["role"], []) if name != each["name"]]
        lines.append(f"  {each['role']}:")
        lines += [f"    - {name}" for name in (each["name"], *rest)]
    return "\n".join(lines)


def print_offers(profile: dict[str, Any], console: Console) -> None:
    """Print what can be added by name, marked by what suits this machine."""
    rows = (
        [
            "*" if each["suits"] else "" if each["fits"] else "too large",
            each["name"],
            each["task"],
            each["backend"],
            format_bytes(each["download_bytes"]),
            format_bytes(each["memory_bytes"]),
            ". ".join(filter(None, [each["license"], each["note"]])).rstrip("."),
        ]
        for each in profile["offers"]
    )
    headings = ("", "model", "task", "back end", "download", "memory", "")
    console.print(listing(headings, rows), "")
    say(console, ("*", "bold"), f" suits this machine ({profile['profile']['title']})")
    console.print(
        "motet models add NAME gets one. Or name a file, ./model.gguf; a model of the Hub, "
        "hf.co/OWNER/REPOSITORY:Q4_K_M; one of Ollama's library, ollama.com/qwen2.5:0.5b."
    )


def print_pulls(pulls: list[dict[str, Any]], console: Console) -> None:
    """Print each pull with how far it is, and why one failed."""
    rows = (
        [
            pull["name"],
            pull["state"],
            format_bytes(pull["completed_bytes"]),
            format_bytes(pull["total_bytes"]),
            pull["error"]["message"] if pull["error"] else pull["status"],
        ]
        for pull in pulls
    )
    console.print(listing(("model", "state", "here", "of", ""), rows))


def format_bytes(value: int | None) -> str:
    """Format a number of bytes for people."""
    if value is None:
        return ""
    return f"{value / GB:.1f} GB" if value >= GB / 10 else f"{value / 10**6:.0f} MB"


def _state(model: dict[str, Any]) -> list[str]:
    state = f"{model['state']}, pinned" if model["pin"] else model["state"]
    return [state, model["device"] or "", format_bytes(model["memory_bytes"])]
