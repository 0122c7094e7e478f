"""Settings: defaults < YAML < environment < flags, and errors that name where a value came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from config.errors import Invalid
from config.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the settings nor the home of whoever runs the tests."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"MOTET_{name.upper()}", raising=False)
    monkeypatch.delenv("MOTET_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "motet.yaml"


def refused(**flags: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        load_settings(**flags)
    return caught.value


def test_everything_has_a_default(tmp_path: Path) -> None:
    settings = load_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.home == tmp_path / "user" / ".motet"
    assert settings.agents_folder == settings.home / "agents"
    assert settings.models_file == settings.home / "models.yaml"
    assert settings.indexes_file == settings.home / "indexes.yaml"


def test_each_settings_source_overrides_the_one_before(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("port: 1001\nlog_level: debug\n")
    assert load_settings(file).port == 1001
    monkeypatch.setenv("MOTET_PORT", "1002")
    assert load_settings(file).port == 1002
    assert load_settings(file, port=1003).port == 1003
    assert load_settings(file, port=None).port == 1002  # a flag that was not given
    assert load_settings(file, port=1003).log_level == "debug"


def test_the_file_in_the_data_folder_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "motet.yaml").write_text("port: 1234\n")
    assert load_settings(home=tmp_path).port == 1234
    monkeypatch.setenv("MOTET_HOME", str(tmp_path))
    assert load_settings().port == 1234


def test_a_file_named_by_the_environment_is_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("port: 4321\n")
    monkeypatch.setenv("MOTET_CONFIG", str(file))
    assert load_settings().port == 4321
    monkeypatch.setenv("MOTET_CONFIG", str(file / "nowhere"))
    assert "MOTET_CONFIG" in refused().message


def test_paths_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(home=Path("here")).home == tmp_path / "here"
    assert load_settings(home=Path("~/there")).home == tmp_path / "user" / "there"
    assert load_settings(agents=tmp_path / "a").agents_folder == tmp_path / "a"


def test_lists_come_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTET_ALLOWED_NETWORKS", '["10.0.0.0/8"]')
    assert load_settings().allowed_networks == ("10.0.0.0/8",)


def test_a_wrong_flag_is_named_as_it_was_given() -> None:
    error = refused(port=99999)
    assert error.message.startswith("flag --port: ")
    assert error.details["field"] == "port"
    assert refused(log_level="loud").message.startswith("flag --log-level: ")


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTET_PORT", "eighty")
    assert refused().message.startswith("environment variable MOTET_PORT: ")


def test_a_wrong_list_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTET_ALLOWED_NETWORKS", "10.0.0.0/8")
    assert "MOTET_ALLOWED_NETWORKS" in refused().message


def test_a_wrong_key_of_a_file_is_named_with_the_file(file: Path) -> None:
    file.write_text("port: eighty\n")
    error = refused(config_file=file)
    assert error.message.startswith(f"{file}:1: port: ")
    assert (error.details["field"], error.details["file"]) == ("port", str(file))


def test_everything_that_is_wrong_in_a_file_is_told(file: Path) -> None:
    file.write_text("port: eighty\n\npork: 1\nfolders: [/srv, here]\ndrain_s: -1\n")

    error = refused(config_file=file)

    assert error.message.endswith("(4 problems in all.)")
    told = [(each["line"], each["field"]) for each in error.details["problems"]]
    assert told == [(1, "port"), (3, "pork"), (4, "folders"), (5, "drain_s")]
    assert {each["file"] for each in error.details["problems"]} == {str(file)}


def test_everything_that_is_no_settings_file_is_told(file: Path) -> None:
    file.write_text("port: 1\nport: 2\nlog_level: !!set {a}\nhost: a\nhost: b\n")

    error = refused(config_file=file)

    assert [each["line"] for each in error.details["problems"]] == [2, 3, 5]


def test_wrong_flags_and_variables_are_told_with_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("pork: 1\n")
    monkeypatch.setenv("MOTET_DRAIN_S", "-1")

    error = refused(config_file=file, port=99999)

    assert error.message.startswith("flag --port: ")
    assert error.message.endswith("(3 problems in all.)")
    told = [each["message"] for each in error.details["problems"]]
    assert told[1].startswith("environment variable MOTET_DRAIN_S: ")
    assert error.details["problems"][2]["line"] == 1


def test_an_unknown_key_proposes_the_nearest(file: Path) -> None:
    file.write_text("pork: 1\n")
    error = refused(config_file=file)
    assert "there is no such setting. Did you mean 'port'?" in error.message


@pytest.mark.parametrize("text", ["port: [\n", "\tport: 1\n", "- port\n", "port\n", "\0"])
def test_a_file_that_is_no_settings_is_named(file: Path, text: str) -> None:
    file.write_text(text)
    assert str(file) in refused(config_file=file).message


def test_a_file_of_broken_utf8_is_named(file: Path) -> None:
    file.write_bytes(b"port: \xff")
    assert str(file) in refused(config_file=file).message


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    """Containers make one of a file that is mounted and missing."""
    (tmp_path / "motet.yaml").mkdir()

    with pytest.raises(Invalid, match=r"motet\.yaml is not a file"):
        load_settings(home=tmp_path)


def test_a_file_that_is_not_there_is_named(file: Path) -> None:
    assert str(file) in refused(config_file=file).message


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.5", "example.org"])
def test_host_reachable_from_the_network_requires_trust_network(host: str) -> None:
    error = refused(host=host)
    assert host in error.message
    assert "trust_network" in error.message
    assert load_settings(host=host, trust_network=True).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_no_trust(host: str) -> None:
    assert load_settings(host=host).host == host


def test_settings_do_not_change() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]
