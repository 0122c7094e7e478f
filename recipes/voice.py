"""A VITS with random weights: the real format, and a babble of the right length, not speech."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from models.backends.coqui.worker.imports import importable

SEED = 29
RATE = 16_000
LETTERS = "abcdefghijklmnopqrstuvwxyzäöüß"
SPEAKERS = ("anna", "ben")
WIDTH = 32
MODEL, CONFIG = "model.pth", "config.json"


def make(folder: Path, *, speakers: Sequence[str] = SPEAKERS, **settings: Any) -> None:
    """Save it into `folder`. Takes a second or two. `settings` go into its configuration."""
    with importable():
        from TTS.tts.configs.vits_config import VitsConfig
        from TTS.tts.models.vits import Vits

    torch.manual_seed(SEED)
    several = len(speakers) > 1
    common = {"phoneme_language": "en", "add_blank": False, "use_speaker_embedding": several}
    config = VitsConfig(
        model_args=_sizes(use_speaker_embedding=several),
        audio=_audio(),
        characters=_characters(),
        text_cleaner="basic_cleaners",
        speakers=list(speakers) if several else [],
        **{**common, **settings},
    )
    model = Vits(config)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"model": model.state_dict()}, folder / MODEL)
    config.save_json(folder / CONFIG)


def _sizes(**sizes: Any) -> Any:
    """As small as the architecture allows; it makes 256 samples of each frame."""
    from TTS.tts.configs.vits_config import VitsArgs

    return VitsArgs(
        init_discriminator=False,
        length_scale=3,
        hidden_channels=WIDTH,
        hidden_channels_ffn_text_encoder=WIDTH,
        num_layers_text_encoder=1,
        num_layers_posterior_encoder=1,
        num_layers_flow=1,
        resblock_kernel_sizes_decoder=[3],
        resblock_type_decoder="2",
        resblock_dilation_sizes_decoder=[[1, 3]],
        upsample_initial_channel_decoder=WIDTH,
        use_sdp=False,
        **sizes,
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
        phonemes="",
    )
