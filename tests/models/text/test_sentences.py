from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.text.sentences import MAX_CHARS, end_at_sentence, split_sentences

CASES = [
    ("One sentence. Another one! A third?", ["One sentence.", "Another one!", "A third?"]),
    (
        "Use a tool, e.g. Git, or i.e. Mercurial. Done.",
        ["Use a tool, e.g. Git, or i.e. Mercurial.", "Done."],
    ),
    ("Dr. Smith met J. R. Jones. They talked.", ["Dr. Smith met J. R. Jones.", "They talked."]),
    ("Version 3.11 is out. It is fast.", ["Version 3.11 is out.", "It is fast."]),
    (
        "Apples, pears, etc. are fruit. Cars are not.",
        ["Apples, pears, etc. are fruit.", "Cars are not."],
    ),
    ("Bring pens, etc. Then write.", ["Bring pens, etc.", "Then write."]),
    ("Call os.path.join() first. Then open it.", ["Call os.path.join() first.", "Then open it."]),
    ('He said "Stop." She did.', ['He said "Stop."', "She did."]),
    ("See http://example.com/a.b?c=d. It works.", ["See http://example.com/a.b?c=d.", "It works."]),
    ("- first item\n- second item\n- third", ["first item", "second item", "third"]),
    ("1. Install it.\n2. Run it.", ["Install it.", "Run it."]),
    ("# Title\n\nText here. More.", ["# Title", "Text here.", "More."]),
    ("Title\n=====\n\nText here. More.", ["Title", "Text here.", "More."]),
    (
        "Before:\n\n```python\nx = 1. \ny = 2\n```\n\nAfter that.",
        ["Before:", "x = 1. \ny = 2", "After that."],
    ),
    (
        "A wrapped line of prose that is quite\nlong and goes on. The next sentence\n"
        "is wrapped too.",
        [
            "A wrapped line of prose that is quite\nlong and goes on.",
            "The next sentence\nis wrapped too.",
        ],
    ),
    (
        "Short item\nAnother item that is much longer than it\nThird one",
        ["Short item", "Another item that is much longer than it", "Third one"],
    ),
    ("| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |", ["| a | b |", "| 1 | 2 |", "| 3 | 4 |"]),
    ("これは文です。次の文です。", ["これは文です。", "次の文です。"]),
    ("Wait... what? Yes.", ["Wait... what?", "Yes."]),
    ("The file (see Fig. 3) is large. It grows.", ["The file (see Fig. 3) is large.", "It grows."]),
    ("It costs $3.50 vs. $4. Buy it.", ["It costs $3.50 vs. $4.", "Buy it."]),
    (
        "* item one\n  continues here. And more.\n* item two",
        ["item one\n  continues here.", "And more.", "item two"],
    ),
    ("It is **bold.** Next one.", ["It is **bold.**", "Next one."]),
    ("Is it `x.y`? `None` is returned.", ["Is it `x.y`?", "`None` is returned."]),
    ("The U.S. Army came. It left.", ["The U.S. Army came.", "It left."]),
    ("At 5 p.m. the run ends. Restart it.", ["At 5 p.m. the run ends.", "Restart it."]),
    ("Use Python 3. It is better.", ["Use Python 3.", "It is better."]),
    ("What's new?\n\nMany things.", ["What's new?", "Many things."]),
    ("Returns True.\nRaises ValueError if not.\n", ["Returns True.", "Raises ValueError if not."]),
    (
        "Added in version 3.8.\nChanged in 3.9: iPhone too.",
        ["Added in version 3.8.", "Changed in 3.9: iPhone too."],
    ),
    ("(It works.) Then it stops.", ["(It works.)", "Then it stops."]),
    ("Er sagte z.B. Hallo. Dann ging er.", ["Er sagte z.B. Hallo.", "Dann ging er."]),
]


def cut(text: str) -> list[str]:
    return [text[sentence.start : sentence.end] for sentence in split_sentences(text)]


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[text[:24] for text, _ in CASES])
def test_a_text_is_cut_where_a_reader_would(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


def test_headings_are_told_from_sentences() -> None:
    text = "# Installing\n\nRun pip. Then go.\n\nUpdating\n--------\n\nRun it again."
    kinds = {text[each.start : each.end]: each.heading for each in split_sentences(text)}
    assert kinds == {
        "# Installing": True,
        "Run pip.": False,
        "Then go.": False,
        "Updating": True,
        "Run it again.": False,
    }


PIECES = st.sampled_from(
    ["Word", "e.g.", "Dr.", "3.5", ".", "!", "? ", "\n", "\n\n", "- ", "1. ", "# ", "```\n", "| ",
     "    ", "。", "(", "\"", "`x.y`", "---\n", "\r\n", "\u2028", "\t", "ß", " and ", "..."]
)  # fmt: skip


@given(st.lists(PIECES, max_size=80).map("".join))
def test_spans_are_trimmed_in_order_and_never_overlap(text: str) -> None:
    end = 0
    for sentence in split_sentences(text):
        assert end <= sentence.start < sentence.end <= len(text)
        assert text[sentence.start : sentence.end].strip() == text[sentence.start : sentence.end]
        assert sentence.end - sentence.start <= MAX_CHARS
        end = sentence.end


@given(st.lists(PIECES, max_size=80).map("".join))
def test_no_word_is_lost(text: str) -> None:
    kept = "".join(cut(text))
    assert kept.count("Word") == text.count("Word")


HOSTILE = ["." * 200_000 + "x", "a\n" * 50_000, "\"'" * 100_000, "1. " * 60_000, " " * 200_000]


@pytest.mark.parametrize("text", HOSTILE, ids=[repr(text[:4]) for text in HOSTILE])
def test_a_hostile_text_costs_no_more_than_its_length(text: str) -> None:
    began = process_time()
    split_sentences(text)
    assert process_time() - began < 5  # what goes by the square takes minutes


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("One is. Two was. Three wi", "One is. Two was."),
        ("One is.", "One is."),
        ('He said: "Yes." She sai', 'He said: "Yes."'),
        ("One is.\n\n# Two\n\n", "One is."),
        ("# One\n\nIt is. It wa", "# One\n\nIt is."),
        ("# One\n\nIt is so.\n\n## Two\n\nIt wa", "# One\n\nIt is so."),
        ("- red\n- blue\n- gre", "- red\n- blue"),
        ("no sentence at al", "no sentence at al"),
        ("它是红的。它是", "它是红的。"),
        ("", ""),
    ],
)
def test_a_text_that_breaks_off_ends_at_a_whole_sentence(text: str, whole: str) -> None:
    assert end_at_sentence(text) == whole
