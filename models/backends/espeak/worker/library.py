"""The C library of espeak-ng, from the wheel that brings it and its data along."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import espeakng_loader

from config.errors import Unavailable

SYNCHRONOUS = 2
DO_NOT_EXIT = 0x8000
UTF8 = 1
RATE, PITCH = 1, 3
GO_ON, STOP = 0, 1
MAX_VOICES = 10_000

_DICTIONARY = re.compile(r"^dictionary\s+(\S+)", re.MULTILINE)
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.POINTER(ctypes.c_ubyte)),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("unused", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class Espeak:
    """One at a time in a process, used by one thread: the library keeps its state in globals.

    What it said before colours what it says next, so that only a library just loaded says the same
    words in the same way. Loading takes milliseconds; `close` unloads it.
    """

    def __init__(self) -> None:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        library.espeak_Info.restype = ctypes.c_char_p
        self._library = library
        self._data = Path(espeakng_loader.get_data_path())
        self._variants = sorted(file.name for file in (self._data / "voices" / "!v").iterdir())
        data_folder = str(self._data).encode()
        self.rate: int = library.espeak_Initialize(SYNCHRONOUS, 0, data_folder, DO_NOT_EXIT)
        if self.rate <= 0:
            raise Unavailable(f"espeak-ng cannot read {self._data}.", code="model_missing")
        self._samples = bytearray()
        self._cancelled: Callable[[], bool] = lambda: False
        # Kept: the library calls it as long as it lives.
        self._callback = _CALLBACK(self._hear)
        library.espeak_SetSynthCallback(self._callback)

    def __enter__(self) -> Espeak:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._library.espeak_Terminate()
        ctypes.CDLL(None).dlclose(ctypes.c_void_p(self._library._handle))

    @property
    def version(self) -> str:
        version: bytes = self._library.espeak_Info(None)
        return version.decode()

    @property
    def variants(self) -> list[str]:
        """Other throats for any voice: `+f3` after its name."""
        return self._variants

    def voices(self) -> list[dict[str, Any]]:
        """List those with a dictionary: `name`, `file` and `languages` of each.

        Languages are pairs of a tag and how well it fits, the least the best.
        """
        listed = self._library.espeak_ListVoices(None)
        voices = []
        for number in range(MAX_VOICES):
            if not listed[number]:
                break
            voice = listed[number].contents
            file, languages = voice.identifier.decode(), list(_languages(voice.languages))
            if self._has_dictionary(file, languages[0][0]):
                name = voice.name.decode().strip()
                voices.append({"name": name, "file": file, "languages": languages})
        return voices

    def say(
        self,
        text: str,
        *,
        voice: str,
        words_a_minute: int,
        pitch: int,
        cancelled: Callable[[], bool],
    ) -> bytes:
        """Speak: 16-bit samples, `rate` a second. Ends early when `cancelled` says so."""
        self.use(voice)
        self._library.espeak_SetParameter(RATE, words_a_minute, 0)
        self._library.espeak_SetParameter(PITCH, pitch, 0)
        self._samples, self._cancelled = bytearray(), cancelled
        data = _c_text(text)
        status = self._library.espeak_Synth(data, len(data), 0, 1, 0, UTF8, None, None)
        if status:
            raise Unavailable(f"espeak-ng failed (status {status}).", code="worker_failed")
        return bytes(self._samples)

    def use(self, voice: str) -> None:
        """Speak as the voice of that file, with or without a variant, or of that language."""
        name = ctypes.create_string_buffer(voice.encode())
        if not self._library.espeak_SetVoiceByName(name):
            return
        tongue = _Voice(languages=ctypes.cast(name, ctypes.POINTER(ctypes.c_ubyte)))
        if self._library.espeak_SetVoiceByProperties(ctypes.byref(tongue)):
            raise Unavailable(f"espeak-ng cannot use its voice '{voice}'.", code="worker_failed")

    def phonemes(self, text: str, mode: int) -> list[str]:
        """Return the phonemes of each clause in the voice last used; `mode` is the library's."""
        rest = ctypes.c_char_p(_c_text(text))
        clauses = []
        while rest.value is not None:
            clause = self._library.espeak_TextToPhonemes(ctypes.byref(rest), UTF8, mode)
            clauses.append((clause or b"").decode(errors="replace"))
        return clauses

    def _has_dictionary(self, file: str, language: str) -> bool:
        """Look for the dictionary: the wheel lists a few voices whose dictionaries it left out."""
        own = _DICTIONARY.search((self._data / "lang" / file).read_text(encoding="utf-8"))
        name = own[1] if own else language.partition("-")[0]
        return (self._data / f"{name.lower()}_dict").is_file()

    def _hear(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._samples += ctypes.string_at(samples, 2 * count)
        return STOP if self._cancelled() else GO_ON


def _c_text(text: str) -> bytes:
    return text.replace("\0", " ").encode() + b"\0"


def _languages(listed: Any) -> Iterator[tuple[str, int]]:
    """Pairs of a byte and a string, one after the other, until a byte is 0."""
    offset = 0
    while rank := listed[offset]:
        end = offset + 1
        while listed[end]:
            end += 1
        yield bytes(listed[offset + 1 : end]).decode(), rank
        offset = end + 1
