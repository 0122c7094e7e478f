"""Webhooks: when they are called, what their answers mean, what is logged and shown of them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from config.errors import Conflict
from runs.deliveries import Deliveries, note_delivery
from runs.record import Run, timestamp
from runs.rows import insert_run
from runs.webhook_signing import WebhookSigner, parse_secrets
from runs.webhooks import (
    MAX_CALLS,
    MAX_RECEIVER_CALLS,
    MAX_RETRY_AFTER_S,
    PAUSES_S,
    Webhooks,
    redact_url,
)
from tests.support.runs.engines import Storage
from tools.responses import PostAnswer

SECRET_URL = "https://hook.test:8443/T0KEN/path?key=T0KEN"
KEY = b"k" * 24
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


class Receiver:
    """Answers calls with the statuses that a test puts in, then with 200."""

    def __init__(self, *statuses: int | PostAnswer | Exception) -> None:
        self.statuses = list(statuses)
        self.calls: list[tuple[str, bytes, Mapping[str, str]]] = []

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        self.calls.append((url, body, headers))
        answer = self.statuses.pop(0) if self.statuses else 200
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, PostAnswer) else PostAnswer(answer)


def ended_run(run_id: str = "r1", url: str | None = SECRET_URL, status: Any = "finished") -> Run:
    return Run(
        run_id=run_id,
        tenant="default",
        agent="ask",
        version="v",
        thread_id=run_id,
        own_thread=True,
        status=status,
        attempt=1,
        input={},
        created_at=1.0,
        webhook=url,
    )


async def store(storage: Storage, *runs: Run) -> None:
    for run in runs:
        await storage.database.write(insert_run(run), note_delivery(run))


def webhooks(
    storage: Storage,
    receiver: Receiver,
    pauses_s: tuple[float, ...] = (0.0, 0.0),
    now: Callable[[], float] = lambda: 1000.0,
) -> Webhooks:
    signer = WebhookSigner(SECRET)
    return Webhooks(
        storage.store, Deliveries(storage.database), receiver, signer, pauses_s, now=now
    )


async def deliver(hooks: Webhooks) -> None:
    hooks.start()
    try:
        await asyncio.wait_for(hooks.wait_idle(), 240)
    finally:
        await hooks.close()


def state(hooks: Webhooks, run: Run) -> tuple[Any, ...]:
    shown = hooks.describe(run)
    assert shown
    return shown["state"], shown["attempts"], shown["status"], shown["error"]


async def test_a_call_is_signed_with_its_id_and_time(storage: Storage) -> None:
    await store(storage, ended_run())
    receiver = Receiver()

    await deliver(webhooks(storage, receiver))

    [(url, body, headers)] = receiver.calls
    expected = hmac.new(KEY, b"r1.1000." + body, hashlib.sha256).digest()
    assert url == SECRET_URL
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("r1", "1000")
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"


def test_two_secrets_sign_each_and_none_signs_nothing() -> None:
    other = f"whsec_{base64.b64encode(b'o' * 64).decode()}"

    both = WebhookSigner(f"{SECRET} {other}").sign("id", 1, b"")["webhook-signature"]

    alone = [
        WebhookSigner(each).sign("id", 1, b"")["webhook-signature"] for each in (SECRET, other)
    ]
    assert both.split() == alone
    assert set(WebhookSigner().sign("id", 1, b"")) == {"webhook-id", "webhook-timestamp"}


@pytest.mark.parametrize(
    "secret", ["T0KEN", "whsec_T0KEN!", "whsec_", f"whsec_{base64.b64encode(b'x' * 65).decode()}"]
)
def test_a_secret_of_another_form_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_") as caught:
        parse_secrets(secret)

    assert "T0KEN" not in str(caught.value)


async def test_calls_go_on_after_a_restart_from_the_attempt_that_was_reached(
    storage: Storage,
) -> None:
    run = ended_run()
    await store(storage, run)
    clock = [1000.0]
    await deliver(webhooks(storage, Receiver(500), (3600.0, 3600.0), lambda: clock[0]))
    clock[0] += 3601
    second = Receiver(503)

    later = webhooks(storage, second, (3600.0, 0.0), lambda: clock[0])
    await deliver(later)

    assert len(second.calls) == 2
    assert state(later, run) == ("delivered", 3, 200, None)


async def test_a_call_is_not_made_before_its_time(storage: Storage) -> None:
    run = ended_run()
    await store(storage, run)
    receiver = Receiver(500, 500)
    hooks = webhooks(storage, receiver, (3600.0,))
    await deliver(hooks)
    await store(storage, ended_run("r2"))

    await deliver(hooks)

    assert [headers["webhook-id"] for _, _, headers in receiver.calls] == ["r1", "r2"]
    assert (hooks.describe(run) or {})["next_at"] == "1970-01-01T01:16:40.000Z"


async def test_a_receiver_that_never_takes_it_is_given_up(storage: Storage) -> None:
    run = ended_run()
    await store(storage, run)
    receiver = Receiver(500, OSError("T0KEN"), 404)
    hooks = webhooks(storage, receiver)

    await deliver(hooks)

    assert state(hooks, run) == ("given_up", 3, 404, None)


async def test_a_receiver_that_is_gone_is_not_asked_again(storage: Storage) -> None:
    run = ended_run()
    await store(storage, run)
    receiver = Receiver(410)
    hooks = webhooks(storage, receiver)

    await deliver(hooks)

    assert len(receiver.calls) == 1
    assert state(hooks, run) == ("given_up", 1, 410, None)


@pytest.mark.parametrize(
    ("asked_s", "pause_s"), [(None, 5.0), (1.0, 5.0), (120.0, 120.0), (1e9, MAX_RETRY_AFTER_S)]
)
async def test_a_receiver_that_is_busy_is_not_called_before_it_wants_to_be(
    storage: Storage, asked_s: float | None, pause_s: float
) -> None:
    run = ended_run()
    await store(storage, run)
    hooks = webhooks(storage, Receiver(PostAnswer(429, asked_s)), (5.0,))

    await deliver(hooks)

    shown = hooks.describe(run)
    assert shown
    assert (shown["state"], shown["next_at"]) == ("pending", timestamp(1000.0 + pause_s))


async def test_a_receiver_that_answers_slowly_holds_up_no_other(storage: Storage) -> None:
    slow = [ended_run(f"a{number}", "https://slow.test/hook") for number in range(5 * MAX_CALLS)]
    other = ended_run("z", "https://other.test/hook?key=1")
    await store(storage, *slow, other)
    called: list[str] = []
    taken, gate = asyncio.Event(), asyncio.Event()

    async def post(url: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        called.append(url)
        if url == other.webhook:
            taken.set()
        else:
            await gate.wait()
        return PostAnswer(200)

    hooks = Webhooks(storage.store, Deliveries(storage.database), post, pauses_s=(5.0,))
    hooks.start()
    await asyncio.wait_for(taken.wait(), 240)
    gate.set()
    await asyncio.wait_for(hooks.wait_idle(), 240)
    await hooks.close()

    assert called.index(str(other.webhook)) <= MAX_RECEIVER_CALLS
    assert len(called) == len(slow) + 1


async def test_a_webhook_is_sent_again_on_request(storage: Storage) -> None:
    run = ended_run()
    await store(storage, run)
    receiver = Receiver(410)
    await deliver(webhooks(storage, receiver))
    hooks = webhooks(storage, receiver)

    assert (await hooks.resend(run))["state"] == "pending"
    await deliver(hooks)

    assert [headers["webhook-id"] for _, _, headers in receiver.calls] == ["r1", "r1"]
    assert state(hooks, run) == ("delivered", 1, 200, None)


async def test_a_call_that_is_asked_for_while_another_is_under_way_is_made(
    storage: Storage,
) -> None:
    run = ended_run()
    await store(storage, run)
    hooks: Webhooks

    class Asking(Receiver):
        async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
            if not self.calls:
                await hooks.resend(run)
            return await super().__call__(url, body, headers)

    receiver = Asking()
    hooks = webhooks(storage, receiver)

    await deliver(hooks)

    assert len(receiver.calls) == 2


@pytest.mark.parametrize(
    ("run", "code"),
    [
        (ended_run(url=None), "webhook_missing"),
        (ended_run(status="running"), "run_not_ended"),
        (ended_run(status="waiting"), "run_not_ended"),
    ],
)
async def test_what_has_no_webhook_or_no_end_is_not_sent_again(
    run: Run, code: str, storage: Storage
) -> None:
    with pytest.raises(Conflict) as caught:
        await webhooks(storage, Receiver()).resend(run)

    assert caught.value.code == code


async def test_more_calls_than_may_be_under_way_are_all_made(storage: Storage) -> None:
    runs = [ended_run(f"r{number}") for number in range(3 * MAX_CALLS)]
    await store(storage, *runs)
    receiver = Receiver(500)

    await deliver(webhooks(storage, receiver))

    assert {headers["webhook-id"] for _, _, headers in receiver.calls} == {
        run.run_id for run in runs
    }
    assert len(receiver.calls) == len(runs) + 1


async def test_nothing_of_a_url_but_its_host_is_logged_or_shown(
    storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    run = ended_run()
    await store(storage, run)
    hooks = webhooks(storage, Receiver(500, OSError(SECRET_URL), 400))

    with caplog.at_level(logging.DEBUG):
        await deliver(hooks)

    assert "https://hook.test:8443" in caplog.text
    assert "T0KEN" not in caplog.text + str(hooks.describe(run)) + repr(run) + str(run.as_dict())


@pytest.mark.parametrize(
    ("url", "redacted"),
    [
        (SECRET_URL, "https://hook.test:8443"),
        ("javascript:T0KEN", "a URL without a host"),
        ("//host/T0KEN", "a URL without a scheme"),
        ("https://user:T0KEN@/x", "a URL without a host"),
        ("https://user:T0KEN@hook.test/x", "https://hook.test"),
        ("http://[::1]:8080/T0KEN#T0KEN", "http://[::1]:8080"),
        ("https://hook.test:T0KEN/", "a URL that cannot be read"),
    ],
)
def test_redacting_leaves_scheme_host_and_port(url: str, redacted: str) -> None:
    assert redact_url(url) == redacted


def test_attempts_go_on_for_a_day_with_growing_pauses() -> None:
    assert sum(PAUSES_S) > 24 * 3600
    assert list(PAUSES_S) == sorted(PAUSES_S)
