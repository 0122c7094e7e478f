"""One frozen value for every setting: defaults < YAML < environment < flags.

Owns names, defaults and bounds of settings, and the error that names where a wrong one stands. The
value is built once and handed down; nothing reads the environment later.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    YamlConfigSettingsSource,
)

from config.errors import Invalid, nearest
from config.file_faults import FileFault, file_error
from config.origins import HostName, ListedHost, OriginName
from config.validation_words import word_error
from config.yaml_reader import drop_extensions, read_yaml

SHIPPED = Path(__file__).parent
"""The folder with the YAML that Motet comes with."""
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
"""Hosts that no other machine reaches."""


class Settings(BaseSettings):
    """Everything that can be chosen. Each field is also `MOTET_<FIELD>` in the environment."""

    model_config = SettingsConfigDict(env_prefix="MOTET_", frozen=True, extra="forbid")

    home: Path = Field(
        Path("~/.motet"), description="Data folder: runs, threads, indexes, artifacts, own agents."
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    trust_network: bool = Field(
        False, description="Allow an address other than loopback: something else guards the port."
    )
    allowed_hosts: tuple[HostName, ...] = Field(
        (),
        description="Names, besides those of loopback and the address that is reached, under which "
        "clients may ask for the service.",
    )
    allowed_origins: tuple[OriginName, ...] = Field(
        (),
        description="Web sites, e.g. https://motet.example, whose pages may use the service.",
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    server_url: str | None = Field(
        None, description="Where commands find the service; default: the one of the data folder."
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    agents: Path | None = Field(None, description="Folder of own agents; default `<home>/agents`.")
    models: Path | None = Field(None, description="Own models.yaml; default `<home>/models.yaml`.")
    environment: str | None = Field(
        None, description="Which of the `environments` of models.yaml is laid over it."
    )
    indexes: Path | None = Field(
        None, description="Own indexes.yaml; default `<home>/indexes.yaml`."
    )
    ollama_url: str = Field("http://127.0.0.1:11434", description="Where Ollama answers.")
    spare_worker: bool = Field(
        True,
        description="While models are loaded, keep a process ready that has imported torch: the "
        "next load is seconds faster, for about 0.5 GB of memory.",
    )

    durability: Literal["process", "power"] = Field(
        "process",
        description="`process`: an accepted run survives a killed process. "
        "`power`: it survives a power loss too, for an fsync with each commit.",
    )
    max_body_bytes: int = Field(4 * 2**20, ge=1024, description="Bound on a JSON body.")
    max_upload_bytes: int = Field(64 * 2**20, ge=1024, description="Bound on an uploaded file.")
    max_active_runs: int = Field(256, ge=1, description="Runs executing at once; more wait.")
    max_queued_runs: int = Field(10_000, ge=1, description="Runs waiting; more are refused.")
    max_active_runs_per_tenant: int = Field(
        192, ge=1, description="Of the runs executing at once, those of one tenant; more wait."
    )
    max_runs_per_tenant: int = Field(
        8000, ge=1, description="Runs of one tenant, executing and waiting; more are refused."
    )
    max_agents: int = Field(
        2000, ge=1, description="Agents of one's own that are saved over HTTP; more are refused."
    )
    max_agent_bytes: int = Field(
        64 * 2**20, ge=1024, description="Bound on the files of one's own agents together."
    )
    max_indexes_per_tenant: int = Field(
        1000, ge=1, description="Indexes of one tenant; more are refused."
    )
    max_ingests_per_tenant: int = Field(
        32, ge=1, description="Ingests of one tenant, under way and waiting; more are refused."
    )
    max_media_calls_per_tenant: int = Field(
        256,
        ge=1,
        description="Pictures and sounds of one tenant being read or made, and waiting for it; "
        "more are refused.",
    )
    max_crashes: int = Field(
        5, ge=1, description="Attempts in a row that may end with the process before a run fails."
    )
    hold_runs: bool = Field(
        False, description="Take up no run that an earlier process left; somebody resumes each."
    )
    drain_s: float = Field(5.0, ge=0, description="Grace for running steps when the server stops.")
    allowed_networks: tuple[str, ...] = Field(
        (),
        description="Networks, e.g. 10.0.0.0/8, that web fetches and webhooks may reach "
        "although they are not public.",
    )
    allowed_ports: tuple[int, ...] = Field(
        (80, 443),
        description="Ports that web fetches and webhooks may reach of hosts outside of those.",
    )
    folders: tuple[Path, ...] = Field(
        (),
        description="Folders of this machine, e.g. /srv/handbook, that callers may name, with all "
        "below them. Commands of the owner of the data folder may name every folder.",
    )
    web_hosts: tuple[ListedHost, ...] = Field(
        (),
        description="Hosts, e.g. docs.example.com or *.example.com, whose addresses a model may "
        "choose although private data was read in its run.",
    )
    keep_runs_days: float | None = Field(
        None, ge=0, description="Ended runs and their events are deleted after so long."
    )
    keep_threads_days: float | None = Field(
        None, ge=0, description="Threads are deleted when they were not used for so long."
    )
    keep_artifacts_days: float | None = Field(
        None, ge=0, description="Artifacts that nothing names are deleted after so long."
    )
    keep_keys_days: float = Field(
        7.0, ge=0, description="Idempotency keys are forgotten after so long."
    )
    webhook_secret: SecretStr | None = Field(
        None,
        description="Signs webhooks: `whsec_` and base64 of 24 to 64 bytes. Several, with spaces "
        "between them, sign each, while one replaces another.",
    )
    heartbeat_s: float = Field(5.0, gt=0, description="Comment interval on a silent stream.")

    @field_validator("folders")
    @classmethod
    def _absolute(cls, folders: tuple[Path, ...]) -> tuple[Path, ...]:
        expanded = tuple(folder.expanduser() for folder in folders)
        for folder in expanded:
            if not folder.is_absolute():
                raise ValueError(f"'{folder}' must be an absolute path, as in /srv/handbook")
        return expanded

    @model_validator(mode="after")
    def _loopback_only(self) -> Self:
        if self.host not in LOOPBACK and not self.trust_network:
            raise ValueError(
                f"host '{self.host}' is reachable from the network, and this version has no keys. "
                "Listen on 127.0.0.1, or set trust_network where a container or a proxy guards "
                "the port."
            )
        return self

    @property
    def agents_folder(self) -> Path:
        return self.agents or self.home / "agents"

    @property
    def models_file(self) -> Path:
        return self.models or self.home / "models.yaml"

    @property
    def indexes_file(self) -> Path:
        return self.indexes or self.home / "indexes.yaml"


def load_settings(config_file: Path | None = None, **flags: Any) -> Settings:
    """Read the settings of this process.

    `config_file` defaults to `$MOTET_CONFIG`, then `<home>/motet.yaml` where that exists.
    Flags that are None count as not given. Raises `Invalid` (`invalid_settings`), which names the
    file, line and key of each wrong one.
    """
    overrides = {key: value for key, value in flags.items() if value is not None}
    if config_file and not config_file.is_file():
        raise _invalid(f"There is no file '{config_file}'.", file=config_file)
    file = config_file or _config_file(overrides)

    try:
        loaded = _layered_settings(file)(**overrides)
    except ValidationError as error:
        raise _explain(error, overrides, file) from error
    except SettingsError as error:
        raise _not_json(error) from error
    except OSError as error:
        raise _invalid(f"{file}: cannot be read: {error}", file=file) from error
    except (TypeError, ValueError) as error:
        raise _invalid(f"{file}: settings are lines of `key: value`.", file=file) from error
    home = _resolve_home(loaded.home)
    return Settings.model_construct(**{**loaded.model_dump(), "home": home})


def _resolve_home(home: Path) -> Path:
    """Resolve the data folder's path. Raises `Invalid` for one that leads nowhere."""
    try:
        path = home.expanduser().absolute()
        for part in (path, *path.parents):
            # Resolved, it would be made anew where a disk is not mounted.
            if part.is_symlink() and not part.exists():
                raise _invalid(
                    f"home: the link {part} leads to {os.readlink(part)}, which is not there. Is "
                    "its disk mounted?",
                    field="home",
                )
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise _invalid(f"home: '{home}' cannot be used: {reason}.", field="home") from error


def _layered_settings(file: Path | None) -> type[Settings]:
    """Return settings that are also read from the environment, `file` and the shipped YAML."""

    class LayeredSettings(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            # The first source wins: flags, then the environment, then files.
            files = [SHIPPED / "motet.yaml", *([file] if file else [])]
            return init_settings, env_settings, _YamlSource(settings_cls, files)

    return LayeredSettings


class _YamlSource(YamlConfigSettingsSource):
    """Settings of files in the YAML of all of Motet's files."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        document = read_yaml(file_path.read_bytes())
        if document.faults:
            faults = (FileFault(file_path, *fault) for fault in document.located_faults())
            raise file_error(faults, code="invalid_settings")
        values = {} if document.value is None else document.value
        if not isinstance(values, dict):
            raise _invalid(f"{file_path}: settings are lines of `key: value`.", file=file_path)
        return drop_extensions(values)


def _not_json(error: SettingsError) -> Invalid:
    """Explain a variable that must hold a list; the library names it in its text alone."""
    field = next((name for name in Settings.model_fields if f'"{name}"' in str(error)), "")
    return _invalid(
        f"environment variable MOTET_{field.upper()}: must be a list in JSON, as in "
        '["10.0.0.0/8"] for networks.',
        field=field,
    )


def _config_file(overrides: dict[str, Any]) -> Path | None:
    if named := os.environ.get("MOTET_CONFIG"):
        if not Path(named).is_file():
            raise _invalid(f"MOTET_CONFIG names '{named}', which is not a file.")
        return Path(named)
    home = overrides.get("home") or os.environ.get("MOTET_HOME") or "~/.motet"
    try:
        file = Path(home).expanduser() / "motet.yaml"
        is_there, is_file = file.exists(), file.is_file()
    except (OSError, RuntimeError):  # told when the data folder is opened
        return None
    if is_there and not is_file:  # containers make a folder of a file that is mounted and missing
        raise _invalid(f"{file} is not a file. Put settings there, or remove it.", file=file)
    return file if is_file else None


def _explain(error: ValidationError, overrides: dict[str, Any], file: Path | None) -> Invalid:
    """Build the error of all that is wrong; flags and variables come before the file."""
    by_hand: list[dict[str, str]] = []
    in_file: list[FileFault] = []
    for each in error.errors():
        field, message = ".".join(map(str, each["loc"])), _word(each)
        setting = field.partition(".")[0]
        if not setting:
            by_hand.append({"message": message})
        elif setting in overrides:
            where = f"flag --{setting.replace('_', '-')}"
            by_hand.append({"field": setting, "message": f"{where}: {message}"})
        elif f"MOTET_{setting.upper()}" in os.environ:
            where = f"environment variable MOTET_{setting.upper()}"
            by_hand.append({"field": setting, "message": f"{where}: {message}"})
        else:
            in_file.append(_locate(file or SHIPPED / "motet.yaml", each["loc"], field, message))
    if not by_hand:
        return file_error(in_file, code="invalid_settings")
    problems = [*by_hand, *(fault.as_dict() for fault in in_file)]
    more = f" ({len(problems)} problems in all.)" if len(problems) > 1 else ""
    first = by_hand[0]
    named = {"field": first["field"]} if "field" in first else {}
    return Invalid(
        first["message"] + more, code="invalid_settings", details={**named, "problems": problems}
    )


def _word(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        hint = nearest(str(error["loc"][0]), list(Settings.model_fields))
        return f"there is no such setting. {hint}"
    return word_error(error)


def _locate(file: Path, path: tuple[int | str, ...], field: str, message: str) -> FileFault:
    return FileFault(file, read_yaml(file.read_bytes()).line(path), field, message)


def _invalid(message: str, **details: object) -> Invalid:
    named = {key: str(value) for key, value in details.items()}
    return Invalid(message, code="invalid_settings", details=named)
