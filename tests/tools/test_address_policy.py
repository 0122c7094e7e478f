"""Addresses that people write, hosts that are listed, and what a model may choose beside them."""

from __future__ import annotations

import pytest

from config.errors import Invalid
from tools.address_policy import (
    MAX_ADDRESSES,
    MAX_VALUES,
    AddressPolicy,
    find_named_urls,
    find_urls,
    find_written_addresses,
)

TEXT = """\
Read example.com/news and https://a.example/x?q=1. Write to me@mail.example, please
(see https://wiki.example/A_(b), https://p.example/?to=/../b); www.shop.example has it too, HTTPS://Loud.example/P.
"""


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/news",
        "http://www.example.com/news",
        "https://a.example/x?q=1",
        "https://wiki.example/A_(b)",
        "https://p.example/?to=/../b",
        "https://shop.example/",
        "https://shop.example",
        "https://loud.example/P",
        "https://LOUD.example:443/P#part",
    ],
)
def test_address_that_a_person_wrote_may_be_chosen(url: str) -> None:
    assert AddressPolicy(True, (), find_written_addresses(TEXT)).allows(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/news?secret=1",
        "https://example.com/",
        "https://a.example/x?q=2",
        "https://a.example/x?q=1&s=secret",
        "https://secret.example.com/news",
        "https://mail.example/",
        "https://example.com:8443/news",
        "https://example.com@evil.example/news",
        "https://evil.example/example.com/news",
        "https://loud.example/p",
        "ftp://example.com/news",
        "https://secret@example.com/news",
        "https://:secret@example.com/news",
        "https://example.com/secret/../news",
        "https://example.com/./news",
        "no address",
        "",
    ],
)
def test_address_that_differs_from_what_was_written_is_not_allowed(url: str) -> None:
    assert not AddressPolicy(True, (), find_written_addresses(TEXT)).allows(url)


@pytest.mark.parametrize(
    ("listed", "url", "allowed"),
    [
        ("docs.example", "https://docs.example/a?q=1", True),
        ("docs.example", "https://DOCS.example:8443/", True),
        ("docs.example", "https://x.docs.example/", False),
        ("docs.example", "https://docs.example.evil.example/", False),
        ("docs.example", "https://docs.example@evil.example/", False),
        ("docs.example", "https://secret@docs.example/", False),
        ("*.docs.example", "https://x.docs.example/", True),
        ("*.docs.example", "https://docs.example/", False),
        ("*.docs.example", "https://evildocs.example/", False),
        ("*", "https://anything.example/", True),
    ],
)
def test_host_is_listed_by_its_whole_name(listed: str, url: str, allowed: bool) -> None:
    assert AddressPolicy(True, (listed,)).allows(url) is allowed


def test_policy_without_bound_allows_everything() -> None:
    AddressPolicy().check("https://anything.example/?q=1")


def test_refusal_says_what_may_be_done() -> None:
    with pytest.raises(Invalid, match="a person approves, or whose hosts are listed") as caught:
        AddressPolicy(True).check("https://evil.example/?q=secret")
    assert caught.value.code == "address_not_allowed"


def test_addresses_are_found_wherever_they_stand_in_a_value() -> None:
    value = {"a": ["see https://a.example/1", {"b": " https://b.example/2 "}], "c": 3}

    assert set(find_urls(value)) == {"https://a.example/1", "https://b.example/2"}
    assert list(find_named_urls(value)) == ["https://b.example/2"]


@pytest.mark.parametrize(
    "text", ["a." * 200_000, "-" * 400_000, "https://" * 50_000, "x.example " * 900]
)
def test_no_more_addresses_are_kept_than_the_bound(text: str) -> None:
    assert len(find_written_addresses(text)) <= MAX_ADDRESSES


def test_what_is_left_out_of_a_value_has_no_addresses() -> None:
    value = ["https://a.example/1", {"by": "others", "text": "https://b.example/2"}]

    keys = find_written_addresses(value, lambda item: None if isinstance(item, dict) else item)

    assert keys == ["a.example/1"]


def test_so_many_items_are_looked_at_and_no_more() -> None:
    seen = 0

    def count(item: object) -> object:
        nonlocal seen
        seen += 1
        return item

    find_written_addresses([["a"]] * MAX_VALUES, count)

    assert seen == MAX_VALUES
