"""A server with one real model."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.forked import ForkedServer
from tests.support.service import open_client

NO_OLLAMA = "http://127.0.0.1:9"


@asynccontextmanager
async def serve_model(home: Path, file: Path, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Serve a model, by the name `real`, and the agents of `home`."""
    declared = {
        "task": "chat",
        "backend": "llamacpp",
        "source": str(file),
        "options": {"threads": 1, "context": 4096, "temperature": 0, "max_tokens": 80},
    }
    (home / "models.yaml").write_text(json.dumps({"version": 1, "models": {"real": declared}}))
    server = ForkedServer(home, log_level="error", ollama_url=NO_OLLAMA, **settings)
    await server.start()
    try:
        async with open_client(server.url) as client:
            yield client
    finally:
        await server.stop()
