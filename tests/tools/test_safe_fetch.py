from __future__ import annotations

import asyncio
import gzip
import ipaddress
import shutil
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from config.errors import Invalid, NotFound, TimedOut, Unavailable
from tests.support.resetting_server import resetting_server
from tests.support.site import Names, Site, serving
from tools.safe_fetch import CacheValidators, FetchLimits, fetch, post


async def test_a_page_comes_with_its_media_type_and_charset(
    site: Site, loopback: FetchLimits
) -> None:
    site.page("/a?b=c", "é".encode("latin-1"), "Text/HTML; charset=ISO-8859-1")
    page = await fetch(site.url("/a?b=c#part"), loopback)
    assert page.url == site.url("/a?b=c")
    assert (page.media_type, page.charset, page.data) == ("text/html", "iso-8859-1", b"\xe9")


async def test_the_connection_goes_to_the_address_that_was_checked(
    site: Site, loopback: FetchLimits
) -> None:
    """A name that leads elsewhere when it is asked again cannot move the connection."""
    site.page("/", b"pinned")
    names = Names(["127.0.0.1"], ["127.0.0.9"])
    page = await fetch(site.url(host="rebind.test"), loopback, resolve=names)
    assert page.data == b"pinned"
    assert names.asked == ["rebind.test"]
    assert f"Host: rebind.test:{site.port}" in site.seen[0]


async def test_redirects_are_followed_to_the_last_url(site: Site, loopback: FetchLimits) -> None:
    site.redirect("/one/", "../two")
    site.page("/two", b"there")
    page = await fetch(site.url("/one/"), loopback)
    assert (page.url, page.data) == (site.url("/two"), b"there")


async def test_redirects_without_end_are_refused(site: Site, loopback: FetchLimits) -> None:
    site.redirect("/", "/")
    with pytest.raises(Invalid) as raised:
        await fetch(site.url(), loopback)
    assert raised.value.code == "too_many_redirects"
    assert len(site.seen) == loopback.max_redirects + 1


async def test_a_body_beyond_the_bound_is_refused(site: Site, loopback: FetchLimits) -> None:
    site.page("/fits", b"x" * 1000)
    site.page("/large", b"x" * 1001)
    small = replace(loopback, max_bytes=1000)
    assert len((await fetch(site.url("/fits"), small)).data) == 1000
    with pytest.raises(Invalid) as raised:
        await fetch(site.url("/large"), small)
    assert raised.value.code == "too_large"


async def test_a_body_without_end_is_cut_at_the_bound(site: Site, loopback: FetchLimits) -> None:
    cut = asyncio.Event()

    async def forever(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        finally:
            cut.set()

    site.pages["/"] = forever
    with pytest.raises(Invalid) as raised:
        await fetch(site.url(), replace(loopback, max_bytes=2**20))
    assert raised.value.code == "too_large"
    await asyncio.wait_for(cut.wait(), 240)


async def test_a_compressed_page_is_unpacked(site: Site, loopback: FetchLimits) -> None:
    site.page("/", gzip.compress(b"hello"), head="Content-Encoding: gzip\r\n")
    assert (await fetch(site.url(), loopback)).data == b"hello"


async def test_a_compressed_page_counts_by_what_it_holds(site: Site, loopback: FetchLimits) -> None:
    site.page("/", gzip.compress(bytes(10 * 2**20)), head="Content-Encoding: gzip\r\n")
    with pytest.raises(Invalid) as raised:
        await fetch(site.url(), replace(loopback, max_bytes=2**20))
    assert raised.value.code == "too_large"


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(gzip.compress(b"hello" * 99, mtime=0)[:-9], "gzip"), (b"plain", "gzip"), (b"x", "br")],
)
async def test_a_page_that_cannot_be_unpacked_is_an_error(
    site: Site, loopback: FetchLimits, body: bytes, encoding: str
) -> None:
    site.page("/", body, head=f"Content-Encoding: {encoding}\r\n")
    with pytest.raises(Unavailable):
        await fetch(site.url(), loopback)


async def test_a_host_that_falls_silent_is_given_up(site: Site, loopback: FetchLimits) -> None:
    async def silent(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await writer.drain()
        await asyncio.wait_for(gone.wait(), 240)

    gone = asyncio.Event()
    site.pages["/"] = silent
    with pytest.raises(TimedOut) as raised:
        await fetch(site.url(), replace(loopback, timeout_s=0.3))
    gone.set()
    assert raised.value.code == "fetch_timed_out"


async def test_a_body_is_posted_and_its_status_given(site: Site, loopback: FetchLimits) -> None:
    site.page("/hook", b"", status="202 Accepted")
    assert await post(site.url("/hook"), b'{"done": true}', loopback) == (202, None)
    head = site.seen[0].casefold()
    assert head.startswith("post /hook ")
    assert "content-type: application/json" in head
    assert site.bodies == [b'{"done": true}']


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00", 0.0),
        *(("soon", None), ("-5", None), ("1.5", None), ("Wed, 99999999999999 Oct 2015", None)),
    ],
)
async def test_an_answer_tells_when_to_post_again(
    site: Site, loopback: FetchLimits, text: str, seconds: float | None
) -> None:
    site.page("/hook", b"", head=f"Retry-After: {text}\r\n", status="429 Too Many Requests")

    assert await post(site.url("/hook"), b"{}", loopback) == (429, seconds)


async def test_a_post_follows_no_redirect_and_stays_out_of_our_network(
    site: Site, loopback: FetchLimits
) -> None:
    site.redirect("/hook", "/elsewhere")
    assert await post(site.url("/hook"), b"{}", loopback) == (302, None)
    assert len(site.seen) == 1
    with pytest.raises(Invalid) as raised:
        await post(site.url("/hook"), b"{}", FetchLimits())
    assert raised.value.code == "forbidden_address"
    assert len(site.seen) == 1


async def test_an_ipv6_address_is_connected_to_as_it_is(loopback: FetchLimits) -> None:
    six = replace(loopback, allowed_networks=(ipaddress.ip_network("::1/128"),))
    site = Site()
    site.page("/", b"six")
    try:
        server = await asyncio.start_server(site.answer, "::1", 0)
    except OSError:
        pytest.skip("there is no IPv6 here")
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert (await fetch(f"http://[::1]:{port}/", six)).data == b"six"
        named = await fetch(f"http://six.test:{port}/", six, resolve=Names(["::1"]))
        assert named.data == b"six"
    assert f"Host: six.test:{port}" in site.seen[1]
    assert f"Host: [::1]:{port}" in site.seen[0]


async def test_the_next_address_is_tried_when_one_refuses(
    site: Site, loopback: FetchLimits
) -> None:
    site.page("/", b"second")
    both = replace(loopback, allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),))
    names = Names(["127.0.0.2", "127.0.0.1"])
    assert (await fetch(site.url(host="two.test"), both, resolve=names)).data == b"second"


async def test_a_host_that_refuses_is_unavailable(loopback: FetchLimits, unused_port: int) -> None:
    with pytest.raises(Unavailable) as raised:
        await fetch(f"http://127.0.0.1:{unused_port}/", loopback)
    assert raised.value.code == "host_unreachable"


@pytest.mark.parametrize("ticks", range(3))
def test_a_host_that_resets_connections_is_unavailable(loopback: FetchLimits, ticks: int) -> None:
    """On uvloop, of the service, a reset connection has no socket that could be asked."""

    async def ask() -> None:
        with resetting_server(9, ticks) as server:
            await fetch(server.url, loopback)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        with pytest.raises(Unavailable) as raised:
            runner.run(ask())

    assert raised.value.code == "host_unreachable"


@pytest.fixture
async def unused_port() -> int:
    async with serving(Site()) as closed:
        return closed.port


async def test_a_host_without_a_name_is_unavailable() -> None:
    async def nobody(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(Unavailable) as raised:
        await fetch("http://nowhere.test/", resolve=nobody)
    assert raised.value.code == "host_not_found"


@pytest.mark.parametrize(
    "answer",
    [
        b"220 mail.test ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
        b"",
    ],
)
async def test_what_does_not_speak_http_is_unavailable(
    site: Site, loopback: FetchLimits, answer: bytes
) -> None:
    site.pages["/"] = answer
    with pytest.raises(Unavailable) as raised:
        await fetch(site.url(), loopback)
    assert raised.value.code == "host_unreachable"


@pytest.mark.parametrize(
    ("status", "family", "permanent"),
    [
        ("404 Not Found", NotFound, False),
        ("403 Forbidden", Unavailable, True),
        ("503 Busy", Unavailable, False),
        ("304 Not Modified", Unavailable, True),
    ],
)
async def test_a_refusal_of_the_host_keeps_its_status(
    site: Site, loopback: FetchLimits, status: str, family: type[Exception], permanent: bool
) -> None:
    site.page("/", b"", status=status)
    with pytest.raises((NotFound, Unavailable)) as raised:
        await fetch(site.url(), loopback)
    assert isinstance(raised.value, family)
    assert raised.value.details["status"] == int(status[:3])
    assert raised.value.permanent is permanent


async def test_proxies_of_the_environment_do_not_lead_past_the_guard(
    site: Site, loopback: FetchLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.page("/", b"direct")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert (await fetch(site.url(), loopback)).data == b"direct"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *(
                "-keyout",
                folder / "key.pem",
                "-out",
                folder / "cert.pem",
                "-subj",
                "/CN=pinned.test",
            ),
            *("-addext", "subjectAltName=DNS:pinned.test"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return folder


async def test_the_certificate_is_checked_against_the_name_not_the_address(
    certificate: Path, loopback: FetchLimits
) -> None:
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    trusting = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    site = Site()
    site.page("/", b"safe")
    async with serving(site, own):
        here = Names(["127.0.0.1"])
        url = site.url(host="pinned.test").replace("http:", "https:")
        page = await fetch(url, loopback, resolve=here, tls=trusting)
        assert page.data == b"safe"
        other = url.replace("pinned.test", "other.test")
        with pytest.raises(Unavailable, match="certificate"):
            await fetch(other, loopback, resolve=here, tls=trusting)
        with pytest.raises(Unavailable, match="certificate"):
            await fetch(url, loopback, resolve=here)


async def test_unchanged_page_is_not_sent_again(site: Site, loopback: FetchLimits) -> None:
    site.page("/", b"words", head='ETag: "7"\r\nLast-Modified: Fri, 20 Nov 2026 10:00:00 GMT\r\n')
    first = await fetch(site.url(), loopback)
    assert (first.etag, first.last_modified) == ('"7"', "Fri, 20 Nov 2026 10:00:00 GMT")
    site.pages["/"] = b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"
    again = await fetch(
        site.url(), loopback, validators=CacheValidators(first.etag, first.last_modified)
    )
    assert (again.unchanged, again.data) == (True, b"")
    assert 'if-none-match: "7"' in site.seen[-1].lower()
    assert "if-modified-since: fri, 20 nov 2026 10:00:00 gmt" in site.seen[-1].lower()


async def test_not_modified_without_validators_is_an_error(
    site: Site, loopback: FetchLimits
) -> None:
    site.pages["/"] = b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"
    with pytest.raises(Unavailable) as caught:
        await fetch(site.url(), loopback)
    assert caught.value.code == "fetch_failed"
