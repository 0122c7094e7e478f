"""Probes `/health` in a process of its own, so that only the service can hold a probe up."""

from __future__ import annotations

import http.client
import sys
import time
from urllib.parse import urlsplit

INTERVAL_S = 0.03


def main(url: str) -> None:
    """Print the time and the latency in seconds of each probe, until standard input closes."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    due = time.monotonic()
    while True:
        begun = time.monotonic()
        connection.request("GET", "/health")
        connection.getresponse().read()
        print(f"{time.time():.3f} {time.monotonic() - begun:.4f}", flush=True)
        due = max(due + INTERVAL_S, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main(sys.argv[1])
