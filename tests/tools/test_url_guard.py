from __future__ import annotations

import pytest

from config.errors import Invalid, Unavailable
from tests.support.site import Names, Site
from tools.safe_fetch import FetchLimits, check_post_url, fetch, post


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
