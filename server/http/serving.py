"""Runs the application under uvicorn, draining runs before connections are closed."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType

import uvicorn

from config.errors import MotetError, Unavailable
from config.settings import Settings
from server.app import create_app
from server.data_folder import ADDRESS_FILE
from server.services import Services, open_services

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 75


class Server(uvicorn.Server):
    """uvicorn, but a signal drains the runs first: their streams then end by themselves.

    uvicorn alone would wait for open streams, and the streams for runs that nobody stops.
    Where it is a guest (`listens_to_signals` is false) they stay with its host.
    """

    def __init__(
        self, config: uvicorn.Config, services: Services, *, listens_to_signals: bool = True
    ) -> None:
        super().__init__(config)
        self._listens_to_signals = listens_to_signals
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._draining: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if not self._listens_to_signals:
            yield
            return
        with super().capture_signals():
            yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Not uvicorn's own: it would raise the signal again, and end us before all is closed.
        if self._draining:  # a second signal means now
            self.should_exit = self.force_exit = True
        else:
            self._loop.call_soon_threadsafe(self._begin_drain)

    def _begin_drain(self) -> None:
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain(), name="drain")

    async def _drain(self) -> None:
        log.info("stopping: %d runs to drain", self._services.engine.active)
        self._services.indexes.pause()
        try:
            await self._services.engine.close(self._services.settings.drain_s)
            self._services.models.end_events()
        finally:
            self.should_exit = True


async def serve(settings: Settings) -> None:
    """Serve until a signal ends it. Raises `Unavailable` where the address is taken."""
    listening = _bind(settings)
    with listening:
        host, port = listening.getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        async with open_services(settings) as services:
            server = Server(_config(services), services)
            _settle_garbage()
            address = settings.home / ADDRESS_FILE
            readied = asyncio.create_task(_when_ready(server, address, url, services))
            try:
                await server.serve([listening])
            finally:
                readied.cancel()
                await asyncio.wait([readied])
                address.unlink(missing_ok=True)


@asynccontextmanager
async def serve_beside(settings: Settings, path: Path) -> AsyncIterator[None]:
    """Serve on the Unix socket `path` for as long as the context is open, in this event loop."""
    async with open_services(settings) as services:
        config = _config(services, uds=str(path))
        server = Server(config, services, listens_to_signals=False)
        serving = asyncio.create_task(server.serve(), name="server")
        ready = asyncio.create_task(server.ready.wait())
        await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        try:
            yield
        finally:
            await services.engine.close(settings.drain_s)
            services.models.end_events()
            server.should_exit = True
            await serving


def _settle_garbage() -> None:
    """Leave the modules and graphs that live as long as the process out of every collection.

    Scanning them again and again is a seventh of a small run's CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


async def _when_ready(server: Server, address: Path, url: str, services: Services) -> None:
    """Tell where the service is; then do by itself what a service does: take up crawls, watch
    folders, and spare the first search the start of its worker."""
    await server.ready.wait()
    address.write_text(url)
    log.info("Motet is ready at %s (data in %s)", url, address.parent)
    await services.crawler.resume()
    await services.watching.start()
    try:
        await services.indexes.warm()
    except MotetError as error:
        log.warning("the indexes are not warm: %s", error)


def _config(services: Services, uds: str | None = None) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(services),
        uds=uds,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # Longer than clients and proxies keep one: else a request meets a connection being closed.
        timeout_keep_alive=KEEP_ALIVE_S,
        proxy_headers=False,
        timeout_graceful_shutdown=int(services.settings.drain_s) + 5,
    )


def _bind(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named as TCP, or the event loop would not turn off the delay of small packets on it.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise Unavailable(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Choose another "
            "port with --port, or 0 for a free one.",
            code="address_in_use",
        ) from error
    listening.set_inheritable(True)
    return listening
