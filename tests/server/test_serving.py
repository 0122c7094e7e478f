"""Where a server says that it is reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import Settings
from server.serving import bind, local_url


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


def test_no_process_that_the_server_starts_is_given_its_port(tmp_path: Path) -> None:
    with bind(Settings(home=tmp_path, port=0)) as listening:
        assert not listening.get_inheritable()
