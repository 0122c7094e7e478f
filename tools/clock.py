"""The tool `clock`: tells the current time, which a model cannot know."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from config.errors import Invalid
from config.zone_hints import find_zone_of_city, propose_zone
from tools.spec import Tool, ToolContext

Now = Callable[[], datetime]


def _utc_now() -> datetime:
    return datetime.now(UTC)


def read_clock(zone: str, now: Now = _utc_now) -> dict[str, Any]:
    """Return the time in an IANA time zone, or in that of a city.

    Raises `Invalid` (`unknown_zone`) proposing the nearest zone.
    """
    zone = find_zone_of_city(zone) or zone
    try:
        moment = now().astimezone(ZoneInfo(zone))
    except (KeyError, ValueError, OSError) as error:
        raise Invalid(
            f"There is no time zone '{zone}'. {propose_zone(zone)}",
            code="unknown_zone",
            details={"field": "zone"},
        ) from error
    return {
        "time": moment.isoformat(timespec="seconds"),
        "zone": zone,
        "weekday": moment.strftime("%A"),
        "unix_s": int(moment.timestamp()),
    }


def clock_tool(now: Now = _utc_now) -> Tool:
    """Build the tool that tells the date and time in any time zone."""

    async def run(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        return read_clock(arguments["zone"], now)

    return Tool(
        name="clock",
        description="Tell the current date, weekday and time in a time zone.",
        parameters={
            "type": "object",
            "properties": {
                "zone": {
                    "type": "string",
                    "description": "IANA name of the time zone, or a city. Leave it out for UTC.",
                    "default": "UTC",
                    "maxLength": 64,
                }
            },
            "additionalProperties": False,
        },
        run=run,
        repeatable=True,
        reads="nothing",
        addresses=(),
    )
