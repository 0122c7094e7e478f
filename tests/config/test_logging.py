from __future__ import annotations

import asyncio
import logging
import sys
import sysconfig
import threading
from collections.abc import Iterator

import pytest

from config.logging import configure_logging, log_uncaught_errors
from config.redaction import redact_urls

SECRET = "k4n4ry"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"GET https://user:{SECRET}@host:8/a/b?x={SECRET}#y", "GET https://host:8/a/b?..."),
        (f"http://{SECRET}@host", "http://host"),
        (f"'http://host/x?{SECRET}' failed", "'http://host/x?...' failed"),
        (f"postgresql+psycopg://u:{SECRET}@db/name", "postgresql+psycopg://db/name"),
        (f"<HTTP://host/?{SECRET}> and wss://u:{SECRET}@h/s", "<HTTP://host/?...> and wss://h/s"),
        (f"https://host/page#{SECRET}", "https://host/page#..."),
        ("see http://host/path, or /other?x=1", "see http://host/path, or /other?x=1"),
        ("mail me@host.example about a: b", "mail me@host.example about a: b"),
    ],
)
def test_urls_lose_credentials_queries_and_fragments(text: str, redacted: str) -> None:
    assert redact_urls(text) == redacted


def test_redaction_is_linear() -> None:
    assert redact_urls("a" * 2**20 + "://" + "b" * 2**20).endswith("b")
    assert redact_urls("http://" * 100_000).startswith("http://")


@pytest.fixture
def configured() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("info")
    yield
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level


def test_secrets_of_urls_are_kept_out_of_tracebacks_and_arguments(
    configured: None, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        raise RuntimeError(f"http://user:{SECRET}@host/x?key={SECRET}")
    except RuntimeError:
        logging.getLogger("models.x").exception("failed: %s", f"http://h/?{SECRET}")

    (logging.getLogger().handlers[0]).flush()
    assert SECRET not in capsys.readouterr().err


def log_from(name: str, path: str, level: int) -> bool:
    """Tell whether an entry written in a file comes out."""
    record = logging.LogRecord(name, level, path, 1, "sent to %s", (SECRET,), None)
    handler = logging.getLogger().handlers[0]
    return bool(handler.filter(record)) and logging.getLogger(name).isEnabledFor(level)


def test_libraries_are_heard_from_warning_upwards(configured: None) -> None:
    library = sysconfig.get_path("purelib") + "/client/api.py"

    assert not log_from("client", library, logging.INFO)
    assert log_from("client", library, logging.WARNING)
    assert log_from("motet_agent_mine", "/home/me/.motet/agents/mine.py", logging.INFO)


@pytest.mark.parametrize("name", ["httpx", "httpx2", "httpcore2", "openai"])
def test_clients_of_http_do_not_log_their_requests(configured: None, name: str) -> None:
    assert not logging.getLogger(name).isEnabledFor(logging.INFO)


def test_an_entry_steers_no_terminal(configured: None, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    logging.getLogger("runs").warning("a tool said %s", "\x1b]0;x\x07\x9b31m\u202e")
    try:
        raise ValueError("\x1b[2J")
    except ValueError:
        logging.getLogger("runs").exception("it broke")

    written = capsys.readouterr().err
    assert "a tool said ␛]0;x␇\\u009b31m\\u202e" in written
    assert "\x1b" not in written


def test_a_traceback_tells_types_and_places_and_no_texts(
    configured: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("info")
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as cause:
            raise ExceptionGroup(SECRET, [ValueError(SECRET)]) from cause
    except ExceptionGroup as error:
        error.add_note(SECRET)
        logging.getLogger("runs").exception("it broke")

    written = capsys.readouterr().err
    assert SECRET not in written
    for told in ("ExceptionGroup\n", "KeyError\n", "ValueError", "test_logging.py"):
        assert told in written


def test_a_traceback_tells_what_the_system_refused(
    configured: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("info")
    try:
        raise OSError(28, "No space left on device", f"/home/{SECRET}")
    except OSError:
        logging.getLogger("runs").exception("it broke")

    written = capsys.readouterr().err
    assert "OSError: No space left on device" in written
    assert SECRET not in written


def test_at_debug_a_traceback_has_its_texts(
    configured: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("debug")
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("runs").exception("it broke")

    assert f"ValueError: {SECRET}" in capsys.readouterr().err


async def never_awaited() -> None:
    raise ValueError(SECRET)


async def test_what_the_event_loop_reports_is_told_without_its_objects(
    configured: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("info")
    loop = asyncio.get_running_loop()
    task = loop.create_task(never_awaited())
    await asyncio.wait([task])
    loop.default_exception_handler(
        {"message": "Task exception was never retrieved", "future": task, "exception": ValueError()}
    )
    task.exception()

    written = capsys.readouterr().err
    assert "asyncio: Task exception was never retrieved" in written
    assert SECRET not in written


@pytest.mark.parametrize("how", ["thread", "destructor"])
def test_errors_that_nobody_catches_are_logged_without_their_texts(
    how: str, configured: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Raises:
        def __del__(self) -> None:
            raise ValueError(SECRET)

    def fail() -> None:
        raise ValueError(SECRET)

    configure_logging("info")
    monkeypatch.setattr("threading.excepthook", threading.excepthook)
    monkeypatch.setattr("sys.unraisablehook", sys.unraisablehook)
    log_uncaught_errors()
    if how == "thread":
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
    else:
        Raises()

    written = capsys.readouterr().err
    assert "ValueError" in written
    assert SECRET not in written.replace("raise ValueError(SECRET)", "")
