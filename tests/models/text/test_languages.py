"""Languages as servers and models name them."""

from __future__ import annotations

import pytest

from models.text.languages import language_tag


@pytest.mark.parametrize(
    ("named", "tag"),
    [
        ("german", "de"),
        ("English", "en"),
        ("haitian creole", "ht"),
        ("de", "de"),
        ("pt_BR", "pt-br"),
        ("yue", "yue"),
        ("jw", "jv"),
        ("", ""),
        ("<|nospeech|>", ""),
        ("klingon", ""),
    ],
)
def test_language_is_a_tag_however_it_is_named(named: str, tag: str) -> None:
    assert language_tag(named) == tag
