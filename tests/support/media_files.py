"""Files for the tests: pictures of two halves, and tones."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import soundfile
from PIL import Image

RATE = 16_000
LEFT, RIGHT = (200, 30, 40), (20, 60, 210)


def halves(width: int = 80, height: int = 40) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), LEFT)
    image.paste(RIGHT, (width // 2, 0, width, height))
    return image


def file_of(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def image_of(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def tone(hertz: float, seconds: float, rate: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.sin(np.arange(round(seconds * rate)) * 2 * np.pi * hertz / rate) * 0.5


def sound_file(
    samples: np.ndarray[Any, Any], rate: int, format: str = "WAV", subtype: str | None = None
) -> bytes:
    file = BytesIO()
    soundfile.write(file, samples, rate, subtype, format=format)
    return file.getvalue()


def loudest(samples: bytes, rate: int = RATE) -> float:
    """The frequency that 16-bit samples hold most of."""
    heard = np.frombuffer(samples, "<i2").astype(float)
    power = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    return float(np.argmax(power) * rate / len(heard))


def level(samples: bytes) -> float:
    """How loud 16-bit samples are: the root of their mean square, of 1."""
    heard = np.frombuffer(samples, "<i2").astype(float) / 32768
    return float(np.sqrt(np.mean(heard**2)))
