"""A name that someone else chose is one file of one folder, on every system."""

from __future__ import annotations

import pytest

from server.cli.file_names import MAX_NAME_BYTES, safe_name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("The hat.epub", "The hat.epub"),
        ("Füße 靴.pdf", "Füße 靴.pdf"),
        ("-rf", "rf"),
        ("~", "~"),
        ("a.tar.gz", "a.tar.gz"),
        ("file.txt:stream", "file.txt-stream"),
        ("C:evil", "C-evil"),
        ("a<b>|c?*.png", "a-b--c--.png"),
        ("CON", "file-CON"),
        ("com¹.log", "file-com¹.log"),
        ("aux .md", "file-aux .md"),
        ("console.md", "console.md"),
        ("trailing. . ", "trailing"),
        ("\u202egnp.exe", "gnp.exe"),
        ("\ud800.png", "png"),
        ("\x7f\x9b", "fallback"),
        ("....//....//", "fallback"),
    ],
)
def test_name_loses_what_a_system_takes_for_more_than_a_name(name: str, safe: str) -> None:
    assert safe_name(name, "fallback") == safe


@pytest.mark.parametrize("name", [f"{'a' * 5000}.png", f"{'靴' * 300}.png", f".{'靴' * 300}"])
def test_long_name_is_cut_between_letters_and_keeps_its_suffix(name: str) -> None:
    short = safe_name(name, "fallback")
    assert len(short.encode()) <= MAX_NAME_BYTES
    assert short.endswith(".png") is name.endswith(".png")
    assert "\ufffd" not in short
