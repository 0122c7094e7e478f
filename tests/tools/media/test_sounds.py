"""Files of sound are listened to and made: checked with tones, which have one right answer."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
import soundfile

from config.errors import Invalid
from models.capabilities import Sound
from tests.support.media_files import RATE, level, loudest, sound_file, tone
from tools.media import MEDIA_TYPES, Chapter, TenantMedia

SPOKEN_RATE = 22_050
KINDS = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "PCM_U8"),
    ("WAV", "FLOAT"),
    ("WAV", "ULAW"),
    ("WAV", "MS_ADPCM"),
    ("FLAC", "PCM_16"),
    ("MP3", "MPEG_LAYER_III"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("AIFF", "PCM_16"),
]


def spoken(hertz: float, seconds: float = 1.0, rate: int = SPOKEN_RATE) -> Sound:
    samples = np.rint(tone(hertz, seconds, rate) * 32767).astype("<i2")
    return Sound(samples.tobytes(), rate, f"{hertz} Hz")


def read(data: bytes) -> tuple[np.ndarray[Any, Any], int]:
    samples, rate = soundfile.read(BytesIO(data), dtype="int16")
    return samples, rate


@pytest.mark.parametrize(("format", "subtype"), KINDS)
async def test_every_format_is_listened_to(media: TenantMedia, format: str, subtype: str) -> None:
    rate = 48_000
    heard = await media.decode_samples(sound_file(tone(1000, 1.0, rate), rate, format, subtype))
    assert heard.seconds == pytest.approx(1.0, abs=0.03)  # some pad their last block
    assert len(heard.samples) == round(heard.seconds * RATE) * 2
    assert loudest(heard.samples) == pytest.approx(1000, abs=2)
    assert level(heard.samples) == pytest.approx(0.5 / 2**0.5, rel=0.05)
    assert (heard.original.format, heard.original.rate) == (format.lower(), rate)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 96_000])
async def test_every_rate_is_brought_to_16_000_without_shifting_a_tone(
    media: TenantMedia, rate: int
) -> None:
    heard = await media.decode_samples(sound_file(tone(440, 2.0, rate), rate))
    assert heard.seconds == pytest.approx(2.0, abs=0.001)
    assert loudest(heard.samples) == pytest.approx(440, abs=1)
    assert level(heard.samples) == pytest.approx(0.5 / 2**0.5, rel=0.02)


async def test_resampling_removes_frequencies_above_the_new_limit(media: TenantMedia) -> None:
    high = tone(10_000, 1.0, 44_100)
    heard = await media.decode_samples(sound_file(high, 44_100))
    assert level(heard.samples) < 0.002


async def test_samples_of_the_right_rate_pass_as_they_are(media: TenantMedia) -> None:
    samples = np.random.default_rng(1).integers(-32768, 32767, RATE, dtype=np.int16)
    heard = await media.decode_samples(sound_file(samples, RATE))
    assert heard.samples == samples.astype("<i2").tobytes()


async def test_channels_are_mixed(media: TenantMedia) -> None:
    both = np.stack([tone(500, 1.0, RATE), np.zeros(RATE)], axis=1)
    heard = await media.decode_samples(sound_file(both, RATE))
    assert heard.original.channels == 2
    assert loudest(heard.samples) == pytest.approx(500, abs=2)
    assert level(heard.samples) == pytest.approx(0.25 / 2**0.5, rel=0.02)


@pytest.mark.parametrize("format", list(MEDIA_TYPES))
async def test_what_is_encoded_has_the_length_and_the_tones_of_its_parts(
    media: TenantMedia, format: Any
) -> None:
    parts = [spoken(300, 1.3), spoken(900, 0.7), spoken(600, 1.1)]
    made = await media.encode(parts, format, pause_s=0.25)
    samples, rate = read(made.data)
    assert made.seconds == pytest.approx(1.3 + 0.7 + 1.1 + 0.5, abs=0.001)
    assert len(samples) / rate == pytest.approx(made.seconds, abs=0.0005)
    assert made.starts == pytest.approx((0.0, 1.55, 2.5), abs=0.001)
    assert made.media_type == MEDIA_TYPES[format]
    for start, part, hertz in zip(made.starts, parts, (300, 900, 600), strict=True):
        begin = round(start * rate)
        piece = samples[begin : begin + round(part.seconds * rate)]
        assert loudest(piece.astype("<i2").tobytes(), rate) == pytest.approx(hertz, abs=3)
    pause = samples[round(1.35 * rate) : round(1.5 * rate)]
    assert np.abs(pause).max() < 500


@pytest.mark.parametrize("format", ["wav", "flac"])
async def test_lossless_formats_hold_the_samples_themselves(
    media: TenantMedia, format: Any
) -> None:
    part = spoken(440, 0.5)
    samples, rate = read((await media.encode([part], format)).data)
    assert (samples.astype("<i2").tobytes(), rate) == (part.samples, SPOKEN_RATE)


async def test_parts_of_several_rates_become_one_file(media: TenantMedia) -> None:
    made = await media.encode([spoken(400, 1.0, 24_000), spoken(400, 1.0, 16_000)], "flac")
    samples, rate = read(made.data)
    assert rate == made.rate == 24_000
    assert len(samples) == 2 * 24_000
    assert loudest(samples.astype("<i2").tobytes(), rate) == pytest.approx(400, abs=1)


async def test_a_rate_that_a_format_does_not_know_is_raised(media: TenantMedia) -> None:
    assert (await media.encode([spoken(400)], "opus")).rate == 24_000
    assert (await media.encode([spoken(400, 1.0, 20_000)], "mp3")).rate == 22_050
    assert (await media.encode([spoken(400, 1.0, 96_000)], "mp3")).rate == 48_000


@pytest.mark.parametrize("format", list(MEDIA_TYPES))
async def test_tags_are_written(media: TenantMedia, format: Any) -> None:
    made = await media.encode(
        [spoken(440)], format, tags={"title": "Ein Märchen", "artist": "Motet"}
    )
    with soundfile.SoundFile(BytesIO(made.data)) as file:
        assert (file.title, file.artist) == ("Ein Märchen", "Motet")


async def test_odd_titles_are_written_as_one_line(media: TenantMedia) -> None:
    chapters = [Chapter("half \ud83d\n\0pair " + "x" * 5000, 0)]
    made = await media.encode([spoken(440)], "mp3", chapters=chapters, tags={"title": "a\ud83d\nb"})
    assert b"half ? pair xxx" in made.data
    assert b"a? b" in made.data


@pytest.mark.parametrize("format", list(MEDIA_TYPES))
async def test_chapters_leave_the_sound_as_it_is(media: TenantMedia, format: Any) -> None:
    parts = [spoken(300), spoken(600), spoken(900)]
    plain = await media.encode(parts, format, tags={"title": "T"})
    chapters = [Chapter("One", 0), Chapter("Zwölf & Ü", 2)]
    marked = await media.encode(parts, format, chapters=chapters, tags={"title": "T"})
    assert np.array_equal(read(plain.data)[0], read(marked.data)[0])
    if format in ("mp3", "flac"):
        assert "Zwölf & Ü".encode() in marked.data


async def test_no_parts_and_wrong_words_are_refused(media: TenantMedia) -> None:
    one = [spoken(440, 0.1)]
    with pytest.raises(Invalid, match="no part was spoken"):
        await media.encode([])
    with pytest.raises(Invalid, match="Did you mean 'flac'"):
        await media.encode(one, "flak")  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="Did you mean 'title'"):
        await media.encode(one, tags={"tilte": "x"})
    with pytest.raises(Invalid, match="parts 0 to 0"):
        await media.encode(one, "mp3", chapters=[Chapter("beyond", 1)])
    with pytest.raises(Invalid, match="parts 0 to 0"):
        await media.encode(one, "mp3", chapters=[Chapter("a", 0), Chapter("b", 0)])
    with pytest.raises(Invalid, match="0 to 60 s"):
        await media.encode(one, pause_s=float("nan"))
    with pytest.raises(Invalid) as caught:
        await media.encode(one * 3, max_seconds=0.2)
    assert caught.value.code == "too_large"


async def test_a_reference_is_a_mono_wav_of_bounded_length(media: TenantMedia) -> None:
    both = np.stack([tone(500, 4.0, 44_100)] * 2, axis=1)
    clip = await media.cut_reference(sound_file(both, 44_100, "OGG", "VORBIS"), max_seconds=1.5)
    samples, rate = read(clip)
    assert (samples.shape, rate) == ((round(1.5 * 44_100),), 44_100)
    assert loudest(samples.astype("<i2").tobytes(), rate) == pytest.approx(500, abs=2)
    short = sound_file(tone(500, 0.5, RATE), RATE)
    assert len(read(await media.cut_reference(short))[0]) == RATE // 2
