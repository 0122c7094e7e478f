"""What a file is, by how it begins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.media_files import file_of, halves, sound_file, tone
from tools.media import kind_of


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_kind_of_a_picture_is_detected(format: str) -> None:
    assert kind_of(file_of(halves(), format)) == f"image/{format.lower()}"


@pytest.mark.parametrize(
    ("format", "kind"),
    [("WAV", "wav"), ("FLAC", "flac"), ("MP3", "mpeg"), ("OGG", "ogg"), ("AIFF", "aiff")],
)
def test_kind_of_a_sound_is_detected(format: str, kind: str) -> None:
    assert kind_of(sound_file(tone(440, 0.2, 16_000), 16_000, format)) == f"audio/{kind}"


@given(st.binary(max_size=16))
def test_any_bytes_have_a_kind_or_none(data: bytes) -> None:
    kind = kind_of(data)
    assert kind is None or "/" in kind
    assert kind_of(b"text: " + data) is None
