"""What a worker may not do. The server chooses it; `sandbox` does it in the worker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Confinement:
    """What is refused to a worker, from before its handler is imported.

    Without `network` sockets to other machines; without `programs`, which implies it, all sockets
    and starting programs; without `files` reading anything but the installation and writing
    anything but what is below `writable`.
    """

    network: bool = True
    programs: bool = True
    files: bool = True
    writable: tuple[str, ...] = ()


UNCONFINED = Confinement()
"""For workers that get models from the network."""
NO_NETWORK = Confinement(network=False)
"""For workers that load models: they read weights and start the compilers of their libraries."""
PARSING = Confinement(network=False, programs=False, files=False)
"""For workers that read files which came from anywhere: these come to them as bytes."""
