"""A wrong time zone is never answered with one that is hours off."""

from __future__ import annotations

import pytest

from config.zone_hints import propose_zone


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("GMT+2", "'Etc/GMT-2' is 2 hours ahead of UTC"),
        ("UTC+02:00", "'Etc/GMT-2' is 2 hours ahead of UTC"),
        ("+2", "'Etc/GMT-2' is 2 hours ahead of UTC"),
        ("utc-5", "'Etc/GMT+5' is 5 hours behind UTC"),
        ("GMT-05", "'Etc/GMT+5' is 5 hours behind UTC"),
        ("+14:00", "'Etc/GMT-14' is 14 hours ahead of UTC"),
        ("tokyo", "Did you mean 'Asia/Tokyo'?"),
        ("new york", "Did you mean 'America/New_York'?"),
        ("America/NewYork", "Did you mean 'America/New_York'?"),
        ("europe/pariss", "Did you mean 'Europe/Paris'?"),
        ("Asia/Calcuta", "Did you mean 'Asia/Calcutta'?"),
    ],
)
def test_zone_that_was_meant_is_proposed(zone: str, hint: str) -> None:
    assert hint in propose_zone(zone)


@pytest.mark.parametrize(
    "zone",
    ["PST", "CEST", "BST", "IST", "AEST", "Ireland", "Georgia", "Austria", "America/Boston",
     "America/Dallas", "UTC+5:30", "GMT+15", "-13", "Etc/GMT+20", "Europe/Moskau", "", "/", "\x00",
     "UTC+2+3", "../../etc/passwd"],
)  # fmt: skip
def test_what_may_be_another_zone_is_not_guessed_from(zone: str) -> None:
    assert "IANA name" in propose_zone(zone)
    assert "Did you mean" not in propose_zone(zone)
