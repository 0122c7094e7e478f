from __future__ import annotations

from datetime import UTC, datetime

import pytest

from config.errors import Invalid
from tests.support.tenants import TENANT
from tools.clock import clock_tool
from tools.spec import ToolContext

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


async def test_the_time_is_told_in_the_zone_asked_for() -> None:
    clock = clock_tool(lambda: NOON)
    assert await clock.call({"zone": "Asia/Kolkata"}, ToolContext(tenant=TENANT)) == {
        "time": "2026-07-01T17:30:00+05:30",
        "zone": "Asia/Kolkata",
        "weekday": "Wednesday",
        "unix_s": 1782907200,
    }


@pytest.mark.parametrize(
    ("city", "zone"), [("Tokyo", "Asia/Tokyo"), ("new york", "America/New_York"), ("UTC", "UTC")]
)
async def test_a_city_stands_for_its_zone(city: str, zone: str) -> None:
    told = await clock_tool(lambda: NOON).call({"zone": city}, ToolContext(tenant=TENANT))

    assert told["zone"] == zone


async def test_without_a_zone_the_time_is_utc_and_now() -> None:
    before = int(datetime.now(UTC).timestamp())
    told = await clock_tool().call({}, ToolContext(tenant=TENANT))
    assert told["zone"] == "UTC"
    assert before <= told["unix_s"] <= datetime.now(UTC).timestamp()
    assert datetime.fromisoformat(told["time"]).timestamp() == told["unix_s"]


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("Europe/Pari", "Europe/Paris"),
        ("Tokio", "Europe/Paris"),
        ("../../etc/passwd", "Europe/Paris"),
        ("Europe", "IANA|Did you mean"),
        ("\x00", "Europe/Paris"),
    ],
)
async def test_an_unknown_zone_is_refused_with_a_proposal(zone: str, hint: str) -> None:
    with pytest.raises(Invalid, match=hint) as raised:
        await clock_tool().call({"zone": zone}, ToolContext(tenant=TENANT))
    assert raised.value.details["field"] == "zone"
