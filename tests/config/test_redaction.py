"""What callers are not told: paths of the machine, internal addresses, output of processes."""

from __future__ import annotations

import logging

import pytest

from config.errors import Invalid, MotetError, Unavailable
from config.redaction import MAX_CHARS, publish_text

PATHS = {
    "[Errno 2] No such file or directory: '/home/me/My Docs/a.txt'": "'a.txt'",
    "/srv/models/tiny is not the folder of a model": "tiny is not",
    "/home/me/.motet/agents/foo.yaml:3: nodes.a: wrong": "foo.yaml:3: nodes.a",
    'File "/usr/lib/python3/x.py", line 3, in load': 'File "x.py", line 3',
    "file:///etc/passwd cannot be read": "passwd cannot",
    "in (/tmp/a/b), /opt/c/d.": "(b), d.",
    "cannot open /etc": "open etc",
}


@pytest.mark.parametrize("text", PATHS)
def test_paths_are_shortened_to_their_last_part(text: str) -> None:
    public = publish_text(text)

    assert PATHS[text] in public.text
    assert all(f"/{top}/" not in public.text for top in ("home", "srv", "usr", "etc", "tmp", "opt"))
    assert public.hidden


@pytest.mark.parametrize(
    "address",
    [
        *("http://127.0.0.1:8080/v1", "localhost:11434", "10.0.0.5", "192.168.1.2:80"),
        *("http://vllm:8000/v1", "https://models.internal/x", "http://[::1]:80/x", "[fd00::1]:5"),
        *("http://169.254.169.254/latest", "redis://cache:6379/0", "http://box.local"),
    ],
)
def test_internal_addresses_are_left_out(address: str) -> None:
    text, hidden = publish_text(f"No server answers at {address}. Start it.")

    assert text == "No server answers at an internal address. Start it."
    assert hidden == (address,)


@pytest.mark.parametrize(
    "text",
    [
        *("There is nothing at /agents/x.", "`POST /runs/1/resume`", "either/or", "a/tmp/b", "/"),
        *("https://api.openai.com/v1 refuses", "version 1.2.3.4", "8:30", "3/4 of it", "8.8.8.8"),
        *("http://example.org/tmp/x", "docs/a.md", "me@localhost.example", "the tmp folder", ""),
    ],
)
def test_what_is_no_path_or_address_of_this_machine_stays(text: str) -> None:
    assert publish_text(text) == (text, ())


@pytest.mark.parametrize(
    "piece", ["/home", "'/home/", "a-", "1.", "http://", "[:", "localhost/", "://", "/tmp/a.", "@"]
)
def test_hostile_texts_take_linear_time(piece: str) -> None:
    publish_text(piece * 100_000)


def test_a_text_without_end_is_cut_and_says_how_long_it_was() -> None:
    text, hidden = publish_text("word " * 1_000_000)

    assert len(text) < 2**15
    assert text.endswith("… (5000000 characters)")
    assert hidden == ()


def test_a_secret_where_a_text_is_cut_is_taken_out() -> None:
    before = "x" * (MAX_CHARS - 20)
    text, _ = publish_text(f"{before} http://me:{'secret' * 20}@example.org/ and more")

    assert "secret" not in text


def test_error_for_callers_names_an_incident_and_the_log_what_is_hidden(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = Unavailable(
        "The worker of /srv/m/tiny ended at 10.0.0.5.",
        code="worker_died",
        details={"stderr": ["Traceback", "secret line"], "file": "/srv/m/tiny", "returncode": 1},
    )

    first, second = error.as_dict(), error.as_dict()

    incident = first["details"]["incident"]
    assert first == second
    assert first["message"] == "The worker of tiny ended at an internal address."
    assert first["details"] == {"file": "tiny", "returncode": 1, "incident": incident}
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    for part in (incident, "worker_died", "secret line", "/srv/m/tiny", "10.0.0.5"):
        assert record.getMessage().count(part) == 1


def test_nested_details_are_treated_like_the_message() -> None:
    passed_over = {"tiny": "No server answers at http://10.1.1.1/v1.", "n": [{"file": "/tmp/a/b"}]}

    details = Unavailable("No.", details={"passed_over": passed_over}).as_dict()["details"]

    assert details["passed_over"]["tiny"] == "No server answers at an internal address."
    assert details["passed_over"]["n"] == [{"file": "b"}]


def test_address_that_the_caller_sent_stands_in_the_answer() -> None:
    error = Invalid("'http://localhost:1/x' is not fetched.", code="forbidden_url")

    assert error.as_dict()["message"] == error.message


def test_error_goes_whole_between_processes_of_ours() -> None:
    error = Unavailable("At /srv/x.", details={"stderr": ["line"]}, permanent=True)

    read = MotetError.from_dict(error.as_whole())

    assert (read.message, read.details, read.permanent) == (
        "At /srv/x.",
        {"stderr": ["line"]},
        True,
    )
