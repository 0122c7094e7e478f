"""Where the files of a coqui-tts model are: a folder, or a model that its library released."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from config.errors import nearest
from models.backends.common.sources import config_of, folder_of, why_no_folder
from models.backends.coqui.options import CoquiOptions

RELEASED = ("tts_models/", "voice_conversion_models/", "vocoder_models/")
WHOLE_FOLDERS = frozenset({"xtts", "bark", "tortoise"})
"""Models that know themselves which files of their folder they need."""
NEEDS_TORCHAUDIO = WHOLE_FOLDERS
UNSAFE = "bark"
"""The kind whose files the library unpickles without a check."""
WHY_UNSAFE = (
    "it is a Bark model, and coqui-tts reads its files as pickles without a check: they could run "
    "any code. Take another voice, such as tts_models/en/vctk/vits."
)
CHECKPOINTS = ("model.pth", "model_file.pth", "model_file.pth.tar", "checkpoint.pth")
BESIDE = ("model_se.pth", "speakers.pth", "speakers_xtts.pth", "speaker_ids.pth")


@dataclass(frozen=True, slots=True)
class CoquiFiles:
    """What is loaded: a checkpoint (a file, or a folder) and its configuration."""

    checkpoint: Path
    config: Path

    @property
    def kind(self) -> str:
        """The name of the architecture, such as "vits"."""
        return str(config_of(self.config.parent).get("model") or "").lower()

    @property
    def stored_bytes(self) -> int:
        if self.checkpoint.is_file():
            return self.checkpoint.stat().st_size
        weight_files = (
            file for file in self.checkpoint.rglob("*") if file.suffix in (".pth", ".pt")
        )
        return sum(file.stat().st_size for file in weight_files)


@dataclass(frozen=True, slots=True)
class Release:
    """A model of the library's own list."""

    name: str
    about: Mapping[str, Any]

    @property
    def repository(self) -> str:
        """Of the Hugging Face Hub; "" where it comes as an archive."""
        return str(self.about.get("repo_id") or "")

    @property
    def url(self) -> str | None:
        """Of its archive."""
        url = self.about.get("github_rls_url")
        return url if isinstance(url, str) else None

    @property
    def license(self) -> str:
        return str(self.about.get("license") or "")

    @property
    def vocoder(self) -> str:
        """The released vocoder that it needs; "" for none."""
        return str(self.about.get("default_vocoder") or "")

    @property
    def archive_folder(self) -> Path:
        """Where the library keeps what came as an archive."""
        return _data_folder() / self.name.replace("/", "--")

    @property
    def folder(self) -> Path | None:
        """Where it is on this machine, if it is."""
        if self.repository:
            return folder_of(self.repository)
        return self.archive_folder if self.archive_folder.is_dir() else None

    def why_not(self, model: str, options: CoquiOptions) -> str | None:
        """Tell why it cannot be loaded now for that model, and what to do."""
        if self.about.get("tos_required") and not self._agreed(options):
            return (
                f"'{self.name}' is under the license {self.license}, which has to be agreed to: "
                "read https://tts-hub.github.io/cpml, then set `license_agreed: true` or "
                "COQUI_TOS_AGREED=1."
            )
        if self.folder is None:
            return f"'{self.name}' is not on this machine yet. Run `motet models pull {model}`."
        vocoder = released(self.vocoder) if self.vocoder and not options.vocoder else None
        return vocoder.why_not(model, options) if vocoder else None

    def _agreed(self, options: CoquiOptions) -> bool:
        consent = self.folder / "tos_agreed.txt" if self.folder else None
        environment = os.environ.get("COQUI_TOS_AGREED") == "1"
        return options.license_agreed or environment or bool(consent and consent.is_file())


def is_released(source: str) -> bool:
    return source.startswith(RELEASED)


def is_unsafe_name(source: str) -> bool:
    """Tell whether a released name is of the kind that is not loaded."""
    return source.split("/")[-1].lower() == UNSAFE


def released(source: str) -> Release | None:
    """Find the released model of that name; None where the library does not know it."""
    entry: Any = _read_list()
    for part in source.split("/"):
        entry = entry.get(part, {}) if isinstance(entry, dict) else {}
    return Release(source, entry) if entry else None


def why_missing(name: str, source: str, options: CoquiOptions) -> str | None:
    """Tell why the model cannot be loaded from `source`, and what to do; None when all is there."""
    if not source:
        return "it has no `source`: name a folder with a model, or a released one (tts_models/...)."
    if is_released(source):
        if is_unsafe_name(source):
            return WHY_UNSAFE
        release = released(source)
        return release.why_not(name, options) if release else explain_unknown(source)
    if folder_of(source) is None:
        return why_no_folder(name, source)
    if (files := find_files(source)) is None:
        return f"{folder_of(source)} has no config.json, or no checkpoint such as model.pth."
    if files.kind == UNSAFE:
        return WHY_UNSAFE
    if files.kind in NEEDS_TORCHAUDIO and find_spec("torchaudio") is None:
        return f"{name} is a model of the kind {files.kind}, which needs torchaudio (pip install)."
    return None


def find_files(source: str) -> CoquiFiles | None:
    """Find what is on this machine of a source; None when something is lacking."""
    release = released(source) if is_released(source) else None
    folder = release.folder if release else folder_of(source)
    if folder is None or not (folder / "config.json").is_file():
        return None
    config = folder / "config.json"
    if str(config_of(folder).get("model") or "").lower() in WHOLE_FOLDERS:
        return CoquiFiles(folder, config)
    named = [folder / name for name in CHECKPOINTS if (folder / name).is_file()]
    others = [file for file in sorted(folder.glob("*.pth")) if file.name not in BESIDE]
    checkpoint = next(iter(named or others[-1:]), None)
    return CoquiFiles(checkpoint, config) if checkpoint else None


def explain_unknown(source: str) -> str:
    """Name the nearest that the library knows to a name that it does not."""
    kind = source.split("/")[0]
    names = [
        "/".join((kind, language, data, model))
        for language, sets in _read_list().get(kind, {}).items()
        for data, models in sets.items()
        for model in models
    ]
    return f"coqui-tts has released no '{source}'. {nearest(source, names)}"


def _read_list() -> dict[str, Any]:
    """Read the library's own list, without importing it."""
    spec = find_spec("TTS")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        models: dict[str, Any] = json.loads((Path(folder) / ".models.json").read_text("utf-8"))
        return models
    return {}


def _data_folder() -> Path:
    """Return where the library keeps what it unpacked."""
    home = os.environ.get("TTS_HOME") or os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "tts"
