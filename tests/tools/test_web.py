from __future__ import annotations

import pytest

from config.errors import Invalid
from tests.support.site import Site
from tests.support.tenants import TENANT
from tools.address_policy import AddressPolicy
from tools.responses import FetchedPage
from tools.safe_fetch import FetchLimits
from tools.spec import ToolContext
from tools.web import page_text, web_tool

PAGE = b"""<!doctype html><html><head>
<title> A  page </title><style>p {color: red}</style></head>
<body><script>alert("no")</script><h1>Head&shy;ing</h1><p>One <b>bold</b>
word.<br>Next&nbsp;line</p>
<ul><li>first</li><li>second</li></ul><table><tr><td>a</td><td>b</td></tr></table>
<pre>if x:
    <i>y</i>
</pre></body></html>"""


async def test_a_page_becomes_readable_text(site: Site, loopback: FetchLimits) -> None:
    site.page("/", PAGE, "text/html")
    result = await web_tool(loopback).call({"url": site.url()}, ToolContext(tenant=TENANT))
    assert result["title"] == "A page"
    assert result["url"] == site.url()
    assert result["truncated"] is False
    lines = [line for line in result["text"].splitlines() if line]
    assert lines[:4] == ["Head\xading", "One bold word.", "Next line", "first"]
    assert lines[4:] == ["second", "a b", "if x:", "    y"]


async def test_a_long_page_is_cut_and_says_so(site: Site, loopback: FetchLimits) -> None:
    site.page("/", b"word " * 1000)
    result = await web_tool(loopback).call(
        {"url": site.url(), "max_characters": 100}, ToolContext(tenant=TENANT)
    )
    assert len(result["text"]) == 100
    assert result["truncated"] is True


async def test_our_own_network_is_refused(site: Site) -> None:
    site.page("/", b"secret")
    with pytest.raises(Invalid) as raised:
        await web_tool(FetchLimits()).call({"url": site.url()}, ToolContext(tenant=TENANT))
    assert raised.value.code == "forbidden_address"
    assert site.seen == []


@pytest.mark.parametrize("media_type", ["image/png", "application/pdf", "application/octet-stream"])
def test_what_is_not_text_is_refused(media_type: str) -> None:
    with pytest.raises(Invalid) as raised:
        page_text(FetchedPage("http://a.test/", media_type, b"\x89PNG"))
    assert raised.value.details == {"field": "url", "media_type": media_type}


@pytest.mark.parametrize(
    ("data", "charset"),
    [
        ("Grüße".encode(), None),
        ("Grüße".encode("latin-1"), "iso-8859-1"),
        ('<meta charset="windows-1252"><p>Grüße'.encode("cp1252"), None),
        ("Grüße".encode(), "no-such-charset"),
        ('<?xml version="1.0" encoding="utf-8"?><html><p>Grüße</p></html>'.encode(), "utf-8"),
    ],
)
def test_the_charset_of_a_page_is_respected(data: bytes, charset: str | None) -> None:
    assert page_text(FetchedPage("http://a.test/", "text/html", data, charset))[1] == "Grüße"


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"",
            b"\x00\xff\xfe<p>",
            b"<p" * 1000,
            b"<!DOCTYPE" * 50,
            b"<![CDATA[<p>",
            b"<b></i></b>",
        ),
        b"<div>" * 5000 + b"deep" + b"</div>" * 5000,
        b"http://a.test/",
        b"&#99999999999;&#xD800;",
        b"<a " + b"x=y " * 10_000 + b">",
    ],
)
def test_broken_html_still_gives_text(data: bytes) -> None:
    title, text = page_text(FetchedPage("http://a.test/", "text/html", data))
    assert isinstance(title, str)
    assert isinstance(text, str)
    assert ("deep" in text) is (b"deep" in data)


async def test_redirect_is_checked_before_its_host_is_looked_up(
    site: Site, loopback: FetchLimits
) -> None:
    site.page("/", b"", head="Location: http://secret.evil.example/\r\n", status="302 Found")
    policy = AddressPolicy(True, ("127.0.0.1",))
    resolved: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        resolved.append(host)
        return ["127.0.0.1"]

    tool = web_tool(loopback, resolve)
    with pytest.raises(Invalid) as raised:
        await tool.call({"url": site.url()}, ToolContext(tenant=TENANT, check_address=policy.check))

    assert raised.value.code == "address_not_allowed"
    assert resolved == ["127.0.0.1"]
    assert len(site.seen) == 1


def test_pages_of_ones_own_network_count_as_private(loopback: FetchLimits) -> None:
    assert web_tool(FetchLimits()).reads == "public"
    assert web_tool(loopback).reads == "private"
