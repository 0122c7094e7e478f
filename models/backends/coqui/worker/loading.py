"""Gets a model of coqui-tts from the disk."""

from __future__ import annotations

import os
import pickle
from typing import Any

from config.errors import MotetError, Unavailable
from models.backends.coqui.worker.imports import importable
from models.backends.coqui.worker.phonemes import provide_espeak


def load_tts(options: dict[str, Any]) -> Any:
    """Load the library's `TTS`, on the CPU.

    Raises `Unavailable` ("library_missing", "model_unreadable").
    """
    if options["license_agreed"]:
        os.environ["COQUI_TOS_AGREED"] = "1"
    with importable():
        from TTS.api import TTS

        provide_espeak()
        try:
            return TTS(**_arguments(options), progress_bar=False)
        except (MemoryError, MotetError):
            raise
        except ImportError as error:  # of a phonemizer: its message says what to install
            raise Unavailable(str(error), code="library_missing") from error
        except (OSError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as error:
            raise _unreadable(error) from error
        except RuntimeError as error:
            if "state_dict" not in str(error):
                raise
            raise _unreadable(error) from error


def _arguments(options: dict[str, Any]) -> dict[str, Any]:
    vocoder = {}
    if options["vocoder"]:
        checkpoint, config = options["vocoder"]
        vocoder = {"vocoder_path": checkpoint, "vocoder_config_path": config}
    if options["released"]:
        return {"model_name": options["released"], **vocoder}
    return {"model_path": options["checkpoint"], "config_path": options["config"], **vocoder}


def _unreadable(error: Exception) -> Unavailable:
    reason = f"{type(error).__name__}: {error}"[:1000]
    return Unavailable(f"Its files cannot be read ({reason}).", code="model_unreadable")
