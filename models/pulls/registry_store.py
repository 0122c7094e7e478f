"""Models of registries on this machine, laid out as Ollama does: manifests, and blobs by digest.

Owns the names of the files. Invariant: a manifest is written once all its blobs are here and
checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from config.errors import MotetError
from config.files import read_file, replace_file
from models.pulls.manifest import Layer, Manifest, parse_manifest

MODELS_FOLDER = "models"
"""In the data folder."""


@dataclass(frozen=True, slots=True)
class RegistryStore:
    """The models below `folder`, each found by host, name ("library/phi") and tag."""

    folder: Path

    @property
    def blobs(self) -> Path:
        return self.folder / "blobs"

    def manifest_file(self, host: str, name: str, tag: str) -> Path:
        return self.folder / "manifests" / host / name / tag

    def blob(self, layer: Layer) -> Path:
        return self.blobs / f"sha256-{layer.sha256}"

    def has(self, layer: Layer) -> bool:
        """Tell whether a layer is here, by its name and size."""
        try:
            return self.blob(layer).stat().st_size == layer.size
        except OSError:
            return False

    def find(self, host: str, name: str, tag: str) -> Manifest | None:
        """Read the manifest of a model all of whose layers are here; None for any other."""
        try:
            manifest = parse_manifest(read_file(self.manifest_file(host, name, tag)), name)
        except (OSError, MotetError):
            return None
        return manifest if all(map(self.has, manifest.loaded_layers)) else None

    def remove(self, host: str, name: str, tag: str) -> int:
        """Delete a model, and the layers that no other has; return how many bytes that freed."""
        manifest = self.find(host, name, tag)
        self.manifest_file(host, name, tag).unlink(missing_ok=True)
        if manifest is None:
            return 0
        used = {layer.digest for other in self._manifests() for layer in other.loaded_layers}
        unused = [each for each in manifest.loaded_layers if each.digest not in used]
        for layer in unused:
            self.blob(layer).unlink(missing_ok=True)
        return sum(layer.size for layer in unused)

    def _manifests(self) -> Iterator[Manifest]:
        for file in (self.folder / "manifests").glob("*/*/*/*"):
            try:
                yield parse_manifest(read_file(file), file.name)
            except (OSError, MotetError):
                continue

    def write_manifest(self, host: str, name: str, tag: str, data: bytes) -> None:
        replace_file(self.manifest_file(host, name, tag), data)
