"""A server as a container: started, watched, ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from config.errors import MotetError, Unavailable
from models.devices.accelerator import Accelerator
from models.driver import Progress
from models.servers.engine import ContainerSpec, Engine, device_files
from models.servers.gpus import GpuOptions, gpu_options
from models.servers.output import Output

log = logging.getLogger(__name__)


async def prepare_engine(
    accelerators: Sequence[Accelerator], present: Callable[[], Sequence[str]] = device_files
) -> tuple[Engine, GpuOptions]:
    """Open the engine, to be handed to `ServerContainer.start` or closed, and find its GPUs.

    Raises `Unavailable` ("container_unavailable").
    """
    engine = await Engine.open()
    try:
        return engine, gpu_options(await engine.info(), accelerators, present())
    except BaseException:
        await engine.close()
        raise


class ServerContainer:
    """Get one from `start`; `stop` it. `exited` completes with how it ended.

    It does not die with this process. What a killed one left behind is removed at the next start.
    """

    def __init__(self, name: str, engine: Engine, container: Any, output: Output) -> None:
        self.name = name
        self.output = output
        self.exited: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._engine = engine
        self._container = container
        # Not the pool: it follows the output as long as the container runs.
        follower = threading.Thread(
            target=self._follow, args=(asyncio.get_running_loop(),), name=name, daemon=True
        )
        follower.start()

    @classmethod
    async def start(
        cls, name: str, spec: ContainerSpec, output: Output, engine: Engine, progress: Progress
    ) -> ServerContainer:
        """Start a container, and remove one of the same owner that was left behind.

        Takes over `engine`: it is closed with the container, or when this raises. Raises
        `Unavailable` (`container_unavailable`); nothing is left running then.
        """
        try:
            if not await engine.has_image(spec.image):
                await engine.pull(spec.image, progress)
            if left := await engine.find(spec.owner):
                log.info("the container %s was left behind and is removed", spec.name)
                await engine.remove(left, grace_s=5)
            progress({"phase": "starting", "server": spec.image})
            return cls(name, engine, await engine.run(spec), output)
        except BaseException:
            with contextlib.suppress(MotetError):
                if container := await asyncio.shield(engine.find(spec.owner)):
                    await asyncio.shield(engine.remove(container, grace_s=0))
            await engine.close()
            raise

    @property
    def ram_bytes(self) -> int:
        """Not measured: what is declared counts."""
        return 0

    async def stop(self, grace_s: float) -> None:
        """Stop and remove it, with `grace_s` to end by itself. It is gone when this returns."""
        await self._engine.remove(self._container, grace_s)
        await self._engine.close()

    def explain_end(self, reason: str) -> Unavailable:
        """Return the error of a container that ended; its output is for the log alone."""
        self.output.log_last()
        return Unavailable(
            f"The container of '{self.name}' ended: {reason}.",
            code="server_died",
            details={"model": self.name, "reason": reason, "output": list(self.output)},
        )

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        reason = "it was removed"
        try:
            for line in self._engine.lines(self._container):
                loop.call_soon_threadsafe(self.output.add, line)
            status = self._container.wait()
            reason = f"exit status {status.get('StatusCode')}"
        except Exception as error:  # the engine went, or our loop did
            log.debug("following %s ended: %s", self.name, error)
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._ended, reason)

    def _ended(self, reason: str) -> None:
        if not self.exited.done():
            self.exited.set_result(reason)
