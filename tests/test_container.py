"""The container's files, as far as they can be checked without an engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.settings import Settings, load_settings

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PROFILES = ["cpu", "nvidia"]


def image_settings() -> dict[str, str]:
    return dict(re.findall(r"\bMOTET_([A-Z_]+)=(\S+)", DOCKERFILE))


def services(profile: str) -> dict[str, Any]:
    return {
        name: service
        for name, service in COMPOSE["services"].items()
        if profile in service["profiles"]
    }


def test_every_setting_of_the_image_and_of_compose_exists() -> None:
    named = set(image_settings())
    for service in COMPOSE["services"].values():
        named |= {key.removeprefix("MOTET_") for key in service.get("environment", {})}
    assert len(named) >= 5
    assert {name.lower() for name in named} <= set(Settings.model_fields)


def test_the_settings_of_the_image_are_accepted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in image_settings().items():
        monkeypatch.setenv(f"MOTET_{key}", value)
    settings = load_settings()
    assert (settings.host, settings.port, settings.home) == ("0.0.0.0", 8000, Path("/data"))


def test_neither_the_image_nor_compose_lets_in_web_pages_of_other_sites(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    defaults = COMPOSE["x-motet"]["environment"]
    allowed = [defaults[f"MOTET_ALLOWED_{each}"] for each in ("HOSTS", "ORIGINS")]
    for key, value in zip(("HOSTS", "ORIGINS"), allowed, strict=True):
        monkeypatch.setenv(f"MOTET_ALLOWED_{key}", value.rpartition(":-")[2].rstrip("}"))

    settings = load_settings()

    assert "ALLOWED" not in DOCKERFILE
    assert (settings.allowed_hosts, settings.allowed_origins) == ((), ())


def test_what_the_image_copies_is_not_kept_out() -> None:
    let_in = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.MULTILINE)
    assert {name for name in copied if name != "."} <= let_in
    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")} - {
        "tests",
        "benchmarks",
        "recipes",
    }
    assert packages <= let_in


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_has_a_service_that_waits_for_its_ollama(profile: str) -> None:
    chosen = services(profile)
    [name] = [name for name, service in chosen.items() if "build" in service]
    motet = chosen[name]
    [(ollama, wait)] = motet["depends_on"].items()
    assert wait == {"condition": "service_healthy"}
    assert chosen[ollama]["healthcheck"]["test"]
    assert motet["environment"]["MOTET_OLLAMA_URL"] == f"http://{ollama}:11434"
    gpus = ["deploy" in service for service in chosen.values()]
    assert gpus == [profile == "nvidia"] * 2


def test_no_port_is_published_beyond_this_machine() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@contextmanager
def answering(status: int) -> Iterator[int]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/ready" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_tells_ready_from_not(status: int, healthy: bool) -> None:
    found = re.search(r"HEALTHCHECK .*?CMD (\[.*?\])$", DOCKERFILE, re.DOTALL | re.MULTILINE)
    assert found
    python, *arguments = json.loads(found[1])
    assert python == "python"
    with answering(status) as port:
        checked = subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, "MOTET_PORT": str(port)},
            capture_output=True,
            timeout=30,
        )
    assert (checked.returncode == 0) is healthy


@pytest.mark.parametrize("profile", PROFILES)
def test_compose_accepts_the_file(profile: str) -> None:
    compose = _compose()
    if not compose:
        pytest.skip("docker compose is not installed")
    checked = subprocess.run(
        [*compose, "--profile", profile, "config"], cwd=ROOT, capture_output=True, timeout=60
    )
    assert checked.returncode == 0, checked.stderr.decode()
    assert set(services(profile)) <= set(yaml.safe_load(checked.stdout)["services"])


def _compose() -> list[str]:
    if docker := shutil.which("docker"):
        asked = subprocess.run([docker, "compose", "version"], capture_output=True, timeout=30)
        if asked.returncode == 0:
            return [docker, "compose"]
    old = shutil.which("docker-compose")
    return [old] if old else []
