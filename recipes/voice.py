"""A VITS with random weights: the real format, and a babble of the right length, not speech."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from models.backends.coqui.worker.imports import importable
from models.backends.coqui.worker.phonemes import provide_espeak

SEED = 29
RATE = 16_000
LETTERS = "abcdefghijklmnopqrstuvwxyzäöüß"
SOUNDS = "abdefhijklmnoprstuvwzæðŋɐɑɔəɚɛɜɡɪɹɾʃʊʌʒˈˌː"
SPEAKERS = ("anna", "ben")
WIDTH = 32
CLONED_WIDTH = 16
MODEL, CONFIG = "model.pth", "config.json"
EARS, EARS_CONFIG = "model_se.pth", "config_se.json"


def make(
    folder: Path,
    *,
    speakers: Sequence[str] = SPEAKERS,
    phonemes: bool = False,
    clones: bool = False,
) -> None:
    """Save it into `folder`. Takes a second or two.

    It reads letters, or `phonemes` that espeak-ng makes of them. One that `clones` has no speakers
    of its own, and a random model of what makes a voice.
    """
    with importable():
        from TTS.tts.configs.vits_config import VitsConfig
        from TTS.tts.models.vits import Vits

        provide_espeak()
        torch.manual_seed(SEED)
        folder.mkdir(parents=True, exist_ok=True)
        kind = _cloning(folder) if clones else {"use_speaker_embedding": len(speakers) > 1}
        config = VitsConfig(
            model_args=_sizes(**kind),
            audio=_audio(),
            characters=_characters(),
            text_cleaner="basic_cleaners",
            use_phonemes=phonemes,
            phonemizer="espeak" if phonemes else None,
            phoneme_language="en-us" if phonemes else "en",
            add_blank=False,
            use_speaker_embedding=kind.get("use_speaker_embedding", False),
            speakers=list(speakers) if kind.get("use_speaker_embedding") else [],
        )
        model = Vits(config)
    torch.save({"model": model.state_dict()}, folder / MODEL)
    config.save_json(folder / CONFIG)


def _sizes(**kind: Any) -> Any:
    """Hardly more than one of each layer; slow, so that a sentence has the length of one."""
    from TTS.tts.configs.vits_config import VitsArgs

    return VitsArgs(
        init_discriminator=False,
        length_scale=3,
        hidden_channels=WIDTH,
        hidden_channels_ffn_text_encoder=WIDTH,
        num_layers_text_encoder=1,
        num_layers_posterior_encoder=1,
        num_layers_flow=1,
        resblock_type_decoder="2",
        resblock_kernel_sizes_decoder=[3],
        resblock_dilation_sizes_decoder=[[1, 3]],
        upsample_initial_channel_decoder=WIDTH,
        use_sdp=False,
        **kind,
    )


def _audio() -> Any:
    from TTS.config.shared_configs import BaseAudioConfig

    return BaseAudioConfig(sample_rate=RATE, do_trim_silence=False)


def _characters() -> Any:
    from TTS.tts.configs.shared_configs import CharactersConfig

    return CharactersConfig(
        characters_class="TTS.tts.models.vits.VitsCharacters",
        pad="_",
        characters=LETTERS,
        punctuations="!,.?:;' ",
        phonemes="".join(sorted(set(SOUNDS) - set(LETTERS))),
    )


def _cloning(folder: Path) -> dict[str, Any]:
    """Saves the model that listens to a clip; what the VITS has to know of it."""
    from TTS.encoder.configs.speaker_encoder_config import SpeakerEncoderConfig
    from TTS.encoder.utils.generic_utils import setup_encoder_model

    audio = _audio()
    config = SpeakerEncoderConfig(
        audio=audio,
        num_classes_in_batch=1,
        num_utter_per_class=1,
        num_loader_workers=0,
        model_params={
            "model_name": "lstm",
            "input_dim": audio.num_mels,
            "proj_dim": CLONED_WIDTH,
            "lstm_dim": CLONED_WIDTH,
            "num_lstm_layers": 1,
        },
    )
    torch.save({"model": setup_encoder_model(config).state_dict()}, folder / EARS)
    config.save_json(folder / EARS_CONFIG)
    return {
        "use_d_vector_file": True,
        "d_vector_dim": CLONED_WIDTH,
        "speaker_encoder_model_path": str(folder / EARS),
        "speaker_encoder_config_path": str(folder / EARS_CONFIG),
    }
