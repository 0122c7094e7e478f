"""Broken and hostile files of sound are refused, and cost nobody else anything."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest

from config.errors import Invalid
from tests.support.media_files import RATE, level, sound_file, tone
from tests.support.tenants import TENANT
from tools.media import Media, TenantMedia

KINDS = [
    ("WAV", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("MP3", "MPEG_LAYER_III"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("AIFF", "PCM_16"),
]


def header(*, rate: int = RATE, channels: int = 1, data_bytes: int = 0, kind: int = 1) -> bytes:
    """The beginning of a WAV file that says whatever is wanted."""
    width = 2 * channels
    about = struct.pack("<HHIIHH", kind, channels, rate, rate * width & 0xFFFFFFFF, width, 16)
    wave = b"WAVEfmt " + struct.pack("<I", len(about)) + about + b"data"
    return b"RIFF" + struct.pack("<I", 2**32 - 9) + wave + struct.pack("<I", data_bytes)


async def refused(media: TenantMedia, data: bytes, **options: float) -> Invalid:
    with pytest.raises(Invalid) as caught:
        await media.decode_samples(data, **options)
    assert caught.value.details["field"] == "audio"
    return caught.value


async def outcome(media: TenantMedia, data: bytes) -> str:
    try:
        await media.decode_samples(data)
        await media.cut_reference(data)
    except Invalid as error:
        return error.code
    return "read"


async def test_a_long_silence_in_a_small_file_is_refused_with_the_numbers(
    media: TenantMedia,
) -> None:
    silence = sound_file(np.zeros(3 * 3600 * 1000, np.int16), 1000, "FLAC")
    assert len(silence) < 100_000
    error = await refused(media, silence)
    assert error.code == "too_large"
    assert error.details["seconds"] == pytest.approx(10_800)
    assert error.details["max_seconds"] == 7200
    assert (await refused(media, sound_file(tone(440, 3, RATE), RATE), max_seconds=2)).code == (
        "too_large"
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a file of sound"),
        (b"hello, this is text", "not a file of sound"),
        (b"\x89PNG\r\n\x1a\n", "of type image/png"),
        (b"\0\0\0\x18ftypM4A " + b"\0" * 40, "of type audio/mp4"),
        (b"\x1aE\xdf\xa3" + b"\0" * 40, "of type video/webm"),
        (b"fLaC" + b"\xff" * 100, "broken"),
        (b"OggS" + b"\0" * 100, "broken"),
        (b"RIFF\xff\xff\xff\xffWAVE", "broken"),
        (b"ID3\x04\0\0" + b"\x7f" * 100, "broken"),
        (header(), "no sound"),
        (header(rate=1, data_bytes=200) + b"\1" * 200, "1 samples a second"),
        (header(rate=2**31 - 1, data_bytes=200) + b"\1" * 200, "samples a second"),
        (header(channels=1000, data_bytes=4000) + b"\1" * 4000, "1000 channels"),
    ],
)
async def test_file_that_is_no_sound_is_refused_by_its_type(
    media: TenantMedia, data: bytes, says: str
) -> None:
    error = await refused(media, data)
    assert error.code == "unreadable_audio"
    assert says in error.message


async def test_a_header_that_promises_more_than_there_is_changes_nothing(
    media: TenantMedia,
) -> None:
    samples = np.arange(RATE, dtype="<i2").tobytes()
    heard = await media.decode_samples(header(data_bytes=2**32 - 60) + samples)
    assert heard.samples == samples


async def test_samples_that_are_no_numbers_are_silent(media: TenantMedia) -> None:
    odd = np.full(RATE, np.nan, np.float32)
    odd[::3] = np.inf
    heard = await media.decode_samples(sound_file(odd, RATE, "WAV", "FLOAT"))
    assert heard.seconds == 1.0
    loud = sound_file(tone(440, 1, 48_000) * 9, 48_000, "WAV", "FLOAT")
    assert 0.9 < level((await media.decode_samples(loud)).samples) <= 1.0


@pytest.mark.parametrize(("format", "subtype"), KINDS)
async def test_damaged_files_are_read_or_refused(
    media: TenantMedia, format: str, subtype: str
) -> None:
    whole = sound_file(tone(440, 0.4, 48_000), 48_000, format, subtype)
    dice = random.Random(subtype)
    for number in range(25):
        damaged = bytearray(whole if number % 3 else whole[: dice.randrange(len(whole))])
        for _ in range(dice.randint(1, 8)):
            if damaged:
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        assert await outcome(media, bytes(damaged)) in ("read", "unreadable_audio", "too_large")
    assert (await media.decode_samples(whole)).seconds == pytest.approx(0.4, abs=0.02)


async def test_file_that_takes_too_long_is_refused() -> None:
    workers = Media(timeout_s=0.01)
    media = workers.of_tenant(TENANT)
    try:
        silence = sound_file(np.zeros(3_000_000, np.int16), 1000, "FLAC")
        with pytest.raises(Invalid, match="more than") as caught:
            await media.decode_samples(silence)
        assert caught.value.code == "unreadable_audio"
    finally:
        await workers.close()
