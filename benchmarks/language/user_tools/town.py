"""Tools about a small town, for models to call. Each answers from a table."""

from __future__ import annotations

from typing import Any

from tools import tool

WEATHER = {
    "oxley": {"celsius": 17, "sky": "drizzle"},
    "rukum": {"celsius": 31, "sky": "haze"},
    "penmorrow": {"celsius": 9, "sky": "fog"},
}
STOCK = {"lantern": 37, "rope": 112, "anchor": 4}
TRAINS = {
    ("oxley", "penmorrow"): {"departs": "14:05", "platform": 3},
    ("penmorrow", "blackholm"): {"departs": "08:47", "platform": 1},
}
PHONES = {"sunita rai": "555-0142", "marta lindqvist": "555-0178"}


@tool(repeatable=True, reads="nothing")
def weather(city: str) -> dict[str, Any]:
    """Tell the weather in a city now: degrees Celsius and the sky."""
    return {"city": city, **look_up(WEATHER, city.lower())}


@tool(repeatable=True, reads="nothing")
def stock(item: str) -> dict[str, Any]:
    """Tell how many pieces of an item are in the shop's stock."""
    return {"item": item, "pieces": look_up(STOCK, item.lower().removesuffix("s"))}


@tool(repeatable=True, reads="nothing")
def next_train(start: str, end: str) -> dict[str, Any]:
    """Tell when the next train leaves from one town to another, and from which platform."""
    return {"from": start, "to": end, **look_up(TRAINS, (start.lower(), end.lower()))}


@tool(repeatable=True, reads="nothing")
def phone_number(name: str) -> dict[str, Any]:
    """Look a person's telephone number up, by first and last name."""
    return {"name": name, "phone": look_up(PHONES, name.lower())}


def look_up(table: dict[Any, Any], key: Any) -> Any:
    """Return an entry. Raises `ValueError` that names those there are."""
    if key not in table:
        raise ValueError(f"unknown: {key}; known are {', '.join(map(str, table))}")
    return table[key]
