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

from config.errors import Invalid, NotFound, TimedOut, Unavailable
from tests.support.site import Site, serving
from tools.addresses import is_forbidden, list_own_addresses
from tools.safe_fetch import CacheValidators, FetchLimits, check_post_url, fetch, post


class Names:
    """A name server whose answers change with each question."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255", "192.0.2.1"),
        *("198.18.0.1", "192.88.99.1", "192.0.0.8", "::1", "::", "::127.0.0.1", "fd00::1"),
        *("fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1"),
        *("2002:7f00:1::", "2001::1", "168.63.129.16", "3fff::1", "2620:4f:8000::1", "5f00::1"),
        *("192.31.196.1", "192.52.193.1", "192.175.48.1", "192.0.0.192", "100.100.100.200"),
        *("2001:3::1", "2001:4:112::1", "2001:20::1", "2001:30::1", "2001:1::1", "2001:1::3"),
        *("100::1", "100:0:0:1::1", "4000::1", "fd00:ec2::254", "::ffff:0:7f00:1", "64:ff9b:2::1"),
        *("::ffff:168.63.129.16", "64:ff9b::a83f:8110", "198.51.100.1", "203.0.113.1"),
    ],
)
def test_an_address_that_is_not_public_is_forbidden(address: str) -> None:
    assert is_forbidden(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_a_public_address_is_not_forbidden(address: str) -> None:
    assert not is_forbidden(ipaddress.ip_address(address))


def test_own_public_addresses_are_forbidden_unless_they_are_allowed() -> None:
    own = {ipaddress.ip_address("8.8.8.8"), ipaddress.ip_address("2606:4700::1111")}
    for address in ("8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808", "2606:4700::1111"):
        assert is_forbidden(ipaddress.ip_address(address), own=own)
    allowed = (ipaddress.ip_network("8.8.8.8/32"),)
    assert not is_forbidden(ipaddress.ip_address("8.8.8.8"), allowed, own)
    assert not is_forbidden(ipaddress.ip_address("8.8.4.4"), own=own)


def test_the_addresses_of_this_machine_are_known() -> None:
    assert ipaddress.ip_address("127.0.0.1") in list_own_addresses()


@pytest.mark.parametrize("url", ["http://a.test:25/", "https://a.test:6379/", "http://8.8.8.8:22/"])
async def test_ports_that_are_not_the_webs_are_refused(url: str) -> None:
    with pytest.raises(Invalid, match="none of the web's") as raised:
        await fetch(url, resolve=Names(["8.8.8.8"]))

    assert raised.value.code == "forbidden_port"
    with pytest.raises(Invalid, match="none of the web's"):
        await post(url.replace("http:", "https:"), b"{}", resolve=Names(["8.8.8.8"]))
    with pytest.raises(Invalid, match="none of the web's"):
        check_post_url(url.replace("http:", "https:"))


async def test_redirect_to_another_port_is_refused(site: Site, loopback: FetchLimits) -> None:
    site.redirect("/", "http://public.test:8080/")

    async def resolve(host: str, port: int) -> list[str]:
        return ["8.8.8.8" if host == "public.test" else "127.0.0.1"]

    with pytest.raises(Invalid) as raised:
        await fetch(site.url("/"), loopback, resolve=resolve)
    assert raised.value.code == "forbidden_port"


async def test_other_ports_can_be_allowed() -> None:
    limits = FetchLimits(allowed_ports=frozenset({8443}), timeout_s=0.2)
    check_post_url("https://a.test:8443/hook", limits)
    with pytest.raises(Invalid):
        check_post_url("https://a.test/hook", limits)


def test_an_allowance_covers_its_network_and_no_more() -> None:
    allowed = (ipaddress.ip_network("10.1.0.0/16"),)
    assert not is_forbidden(ipaddress.ip_address("10.1.2.3"), allowed)
    assert not is_forbidden(ipaddress.ip_address("::ffff:10.1.2.3"), allowed)
    assert is_forbidden(ipaddress.ip_address("10.2.0.1"), allowed)


async def test_a_page_comes_with_its_media_type_and_charset(
    site: Site, loopback: FetchLimits
) -> None:
    site.page("/a?b=c", "é".encode("latin-1"), "Text/HTML; charset=ISO-8859-1")
    page = await fetch(site.url("/a?b=c#part"), loopback)
    assert page.url == site.url("/a?b=c")
    assert (page.media_type, page.charset, page.data) == ("text/html", "iso-8859-1", b"\xe9")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "017700000001"])
async def test_no_spelling_of_loopback_reaches_the_server(site: Site, host: str) -> None:
    site.page("/", b"secret")
    with pytest.raises((Invalid, Unavailable)) as raised:
        await fetch(site.url(host=host), FetchLimits())
    assert raised.value.code in {"forbidden_address", "host_not_found"}
    assert raised.value.details["field"] == "url"
    assert site.seen == []


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://example.org/", "gopher://example.org/", "//example.org/"),
        *(
            "http://",
            "http:///path",
            "",
            "http://user:secret@example.org/",
            "http://[::1",
            "data:,x",
        ),
        *("http://a:99999999/", "http://a\x00b/", "javascript:alert(1)"),
    ],
)
async def test_only_plain_http_urls_are_fetched(url: str) -> None:
    with pytest.raises(Invalid) as raised:
        await fetch(url, FetchLimits())
    assert raised.value.code == "forbidden_url"


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


async def test_one_forbidden_address_condemns_the_host(site: Site, loopback: FetchLimits) -> None:
    with pytest.raises(Invalid) as raised:
        await fetch(site.url(host="two.test"), loopback, resolve=Names(["127.0.0.1", "127.0.0.2"]))
    assert raised.value.code == "forbidden_address"
    assert site.seen == []


async def test_every_redirect_is_checked_anew(site: Site, loopback: FetchLimits) -> None:
    site.redirect("/", "http://inner.test/admin")
    names = Names(["127.0.0.1"], ["10.0.0.5"])
    with pytest.raises(Invalid) as raised:
        await fetch(site.url(host="outer.test"), loopback, resolve=names)
    assert raised.value.code == "forbidden_address"
    assert names.asked == ["outer.test", "inner.test"]


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "http://u:p@127.0.0.1/", "data:,x", "http://[::1"],
)
async def test_a_redirect_to_a_forbidden_url_is_refused(
    site: Site, loopback: FetchLimits, location: str
) -> None:
    site.redirect("/", location)
    with pytest.raises(Invalid) as raised:
        await fetch(site.url(), loopback)
    assert raised.value.code == "forbidden_url"


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
    await asyncio.wait_for(cut.wait(), 10)


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
        await asyncio.wait_for(gone.wait(), 20)

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


@pytest.mark.parametrize("url", ["http://93.184.216.34/hook", "http://hook.test/T0KEN"])
async def test_a_post_goes_over_public_networks_encrypted_only(
    url: str, loopback: FetchLimits
) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["93.184.216.34"]

    with pytest.raises(Invalid) as raised:
        await post(url, b"{}", loopback, resolve=resolve)
    with pytest.raises(Invalid) as unasked:
        check_post_url(url)

    assert (raised.value.code, unasked.value.code) == ("forbidden_url", "forbidden_url")
    assert "https" in raised.value.message


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
