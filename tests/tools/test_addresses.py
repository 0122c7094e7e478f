from __future__ import annotations

import ipaddress

import pytest

from tools.addresses import is_forbidden, list_own_addresses


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255", "192.0.2.1"),
        *("198.18.0.1", "192.88.99.1", "192.0.0.8", "::1", "::", "::127.0.0.1", "fd00::1"),
        *("fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1"),
        *("2002:7f00:1::", "2001::1", "168.63.129.16", "3fff::1", "2620:4f:8000::1", "5f00::1"),
        *("192.31.196.1", "192.52.193.1", "192.175.48.1", "192.0.0.192", "100.100.100.200"),
        *("2001:3::1", "2001:4:112::1", "2001:20::1", "2001:30::1", "2001:1::1", "2001:1::3"),
        *("100::1", "100:0:0:1::1", "4000::1", "fd00:ec2::254", "::ffff:0:7f00:1", "64:ff9b:2::1"),
        *("::ffff:168.63.129.16", "64:ff9b::a83f:8110", "198.51.100.1", "203.0.113.1"),
    ],
)
def test_an_address_that_is_not_public_is_forbidden(address: str) -> None:
    assert is_forbidden(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_a_public_address_is_not_forbidden(address: str) -> None:
    assert not is_forbidden(ipaddress.ip_address(address))


def test_own_public_addresses_are_forbidden_unless_they_are_allowed() -> None:
    own = {ipaddress.ip_address("8.8.8.8"), ipaddress.ip_address("2606:4700::1111")}
    for address in ("8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808", "2606:4700::1111"):
        assert is_forbidden(ipaddress.ip_address(address), own=own)
    allowed = (ipaddress.ip_network("8.8.8.8/32"),)
    assert not is_forbidden(ipaddress.ip_address("8.8.8.8"), allowed, own)
    assert not is_forbidden(ipaddress.ip_address("8.8.4.4"), own=own)


def test_the_addresses_of_this_machine_are_known() -> None:
    assert ipaddress.ip_address("127.0.0.1") in list_own_addresses()


def test_an_allowance_covers_its_network_and_no_more() -> None:
    allowed = (ipaddress.ip_network("10.1.0.0/16"),)
    assert not is_forbidden(ipaddress.ip_address("10.1.2.3"), allowed)
    assert not is_forbidden(ipaddress.ip_address("::ffff:10.1.2.3"), allowed)
    assert is_forbidden(ipaddress.ip_address("10.2.0.1"), allowed)
