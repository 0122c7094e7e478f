"""What a wrong name of a time zone was meant for: a guess may not be hours off."""

from __future__ import annotations

import re
from collections.abc import Container
from difflib import get_close_matches
from functools import cache
from zoneinfo import available_timezones

OFFSET = re.compile(
    r"(?:utc|gmt)?\s*(?P<sign>[+-])(?P<hours>\d{1,2})(?::?(?P<minutes>\d\d))?", re.I
)
CLOSE = 0.8
"""How alike two cities of one area must be written, of 1: Boston and Boise are less."""


def propose_zone(zone: str) -> str:
    """Propose the zone that was meant where its spelling alone is wrong, or say how they are named.

    Abbreviations and names of countries are like those of zones hours away: none is guessed from.
    """
    zones = _list_zones()
    if offset := OFFSET.fullmatch(zone.strip()):
        return _propose_offset(offset, zones)
    area, slash, city = zone.rpartition("/")
    is_place = bool(slash) and not re.search(r"\d", city)
    listed = (name for name in zones if not slash or _is_in(name, area))
    cities = {_spell(name.rpartition("/")[2]): name for name in listed}
    close = get_close_matches(_spell(city), cities, n=1, cutoff=CLOSE if is_place else 1)
    if close:
        return f"Did you mean '{cities[close[0]]}'?"
    return "Use an IANA name such as 'Europe/Paris'."


def find_zone_of_city(city: str) -> str | None:
    """Return the zone that is named after a city, where one alone is."""
    zones = [each for each in _list_zones() if _spell(each.rpartition("/")[2]) == _spell(city)]
    return zones[0] if len(zones) == 1 else None


@cache
def _list_zones() -> list[str]:
    return sorted(available_timezones())


def _propose_offset(offset: re.Match[str], zones: Container[str]) -> str:
    # IANA's names of offsets are those of POSIX: what is ahead of UTC has a minus.
    sign = "-" if offset["sign"] == "+" else "+"
    name = f"Etc/GMT{sign}{int(offset['hours'])}"
    if int(offset["minutes"] or 0) or name not in zones:
        return "Use the IANA name of a place with that offset."
    ahead = "ahead of" if sign == "-" else "behind"
    hours = int(offset["hours"])
    unit = "hour" if hours == 1 else "hours"
    return f"'{name}' is {hours} {unit} {ahead} UTC: its sign is the other way round."


def _is_in(zone: str, area: str) -> bool:
    return zone.rpartition("/")[0].casefold() == area.casefold()


def _spell(city: str) -> str:
    return re.sub(r"[\W_]+", "", city).casefold()
