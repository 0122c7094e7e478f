"""Where a server says that it is reached."""

from __future__ import annotations

import pytest

from server.serving import local_url


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("172.17.0.2", "http://172.17.0.2:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("fd00::2", "http://[fd00::2]:80"),
    ],
)
def test_server_is_reached_at_an_address_that_its_guard_knows(host: str, url: str) -> None:
    assert local_url(host, 80) == url
