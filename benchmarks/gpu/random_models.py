"""Models of realistic size with random weights: `python -m benchmarks.gpu.random_models FOLDER`.

The shapes are those of Stable Diffusion XL (base 1.0), Llama 3 8B and Coqui's VITS; the files are
in the formats that such models come in. `--tiny` makes the same kinds small, to try this on a CPU.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

SHARD = "4GB"
CLIP_VOCABULARY = 49_408
LLAMA_VOCABULARY = 128_256
CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SDXL_UNET: dict[str, Any] = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "attention_head_dim": (5, 10, 20),
    "transformer_layers_per_block": (1, 2, 10),
    "cross_attention_dim": 2048,
    "projection_class_embeddings_input_dim": 2816,
    "addition_time_embed_dim": 256,
}
TINY_UNET: dict[str, Any] = {
    "sample_size": 16,
    "block_out_channels": (32, 64, 64),
    "attention_head_dim": (2, 4, 4),
    "transformer_layers_per_block": (1, 1, 1),
    "cross_attention_dim": 64,
    "projection_class_embeddings_input_dim": 80,
    "addition_time_embed_dim": 8,
}


def main() -> None:
    """Make all of them, those that are there already left alone."""
    folder, tiny = Path(sys.argv[1]), "--tiny" in sys.argv
    torch.manual_seed(0)
    # Random numbers come much faster from a GPU, and are saved from there.
    torch.set_default_device("cuda" if torch.cuda.is_available() else "cpu")
    makers: dict[str, Callable[[Path, bool], None]] = {
        "llama": make_llama,
        "sdxl": make_sdxl,
        "vits": make_vits,
    }
    for name, make in makers.items():
        if (folder / name).is_dir():
            continue
        begun = time.perf_counter()
        make(folder / name, tiny)
        size = sum(file.stat().st_size for file in (folder / name).rglob("*") if file.is_file())
        print(f"{name}: {size / 1e9:.2f} GB in {time.perf_counter() - begun:.1f} s", flush=True)


def make_llama(folder: Path, tiny: bool) -> None:
    from transformers import AutoModelForCausalLM, LlamaConfig

    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    if not tiny:
        sizes = {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32}
    config = LlamaConfig(
        vocab_size=LLAMA_VOCABULARY if not tiny else 1024,
        num_attention_heads=32 if not tiny else 4,
        num_key_value_heads=8 if not tiny else 2,
        max_position_embeddings=8192,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        **sizes,
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder, max_shard_size=SHARD)
    _tokenizer(config.vocab_size).save_pretrained(folder)


def make_sdxl(folder: Path, tiny: bool) -> None:
    from diffusers import (
        AutoencoderKL,
        EulerDiscreteScheduler,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    small, large = (_clip(768, 12, 12, 768), _clip(1280, 32, 20, 1280))
    if tiny:
        small, large = _clip(32, 2, 2, 32), _clip(32, 2, 2, 32)
    channels = (128, 256, 512, 512) if not tiny else (32, 32)
    vae = AutoencoderKL(
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        layers_per_block=2 if not tiny else 1,
        latent_channels=4,
        scaling_factor=0.13025,
        sample_size=1024 if not tiny else 32,
        force_upcast=False,
    )
    pipeline = StableDiffusionXLPipeline(
        vae=vae.to(torch.bfloat16),
        text_encoder=CLIPTextModel(CLIPTextConfig(**small)).to(torch.bfloat16),
        text_encoder_2=CLIPTextModelWithProjection(CLIPTextConfig(**large)).to(torch.bfloat16),
        tokenizer=_clip_tokenizer(),
        tokenizer_2=_clip_tokenizer(),
        unet=UNet2DConditionModel(
            in_channels=4,
            out_channels=4,
            layers_per_block=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            use_linear_projection=True,
            addition_embed_type="text_time",
            **(TINY_UNET if tiny else SDXL_UNET),
        ).to(torch.bfloat16),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
        ),
    )
    pipeline.save_pretrained(folder, max_shard_size=SHARD)


def make_vits(folder: Path, tiny: bool) -> None:
    from models.backends.coqui.worker.imports import importable
    from recipes.voice import CONFIG, MODEL, make

    torch.set_default_device("cpu")
    if tiny:
        return make(folder)
    with importable():
        from TTS.tts.configs.shared_configs import CharactersConfig
        from TTS.tts.configs.vits_config import VitsArgs, VitsConfig
        from TTS.tts.models.vits import Vits

        letters = CharactersConfig(
            characters_class="TTS.tts.models.vits.VitsCharacters",
            pad="_",
            characters="abcdefghijklmnopqrstuvwxyz",
            punctuations="!,.?:;' ",
            phonemes="",
        )
        config = VitsConfig(
            model_args=VitsArgs(init_discriminator=False),
            characters=letters,
            text_cleaner="basic_cleaners",
            use_phonemes=False,
        )
        model = Vits(config)
    folder.mkdir(parents=True)
    torch.save({"model": model.state_dict()}, folder / MODEL)
    config.save_json(folder / CONFIG)
    return None


def _clip(width: int, layers: int, heads: int, projection: int) -> dict[str, Any]:
    return {
        "vocab_size": CLIP_VOCABULARY,
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "projection_dim": projection,
        "bos_token_id": CLIP_VOCABULARY - 2,
        "eos_token_id": CLIP_VOCABULARY - 1,
        "pad_token_id": CLIP_VOCABULARY - 1,
    }


def _clip_tokenizer() -> Any:
    from transformers import CLIPTokenizer

    words = [f"w{number}" for number in range(CLIP_VOCABULARY - 2 - 26)]
    letters = [f"{chr(ord('a') + number)}</w>" for number in range(26)]
    vocabulary = [*letters, *words, "<|startoftext|>", "<|endoftext|>"]
    numbers = {word: number for number, word in enumerate(vocabulary)}
    return CLIPTokenizer(vocab=numbers, merges=[], model_max_length=77)


def _tokenizer(size: int) -> Any:
    """Bytes, and a word for each other number, so that random tokens read as words."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [f"Ġw{number}" for number in range(size - 2 - len(alphabet))]
    vocabulary = ["<|begin|>", "<|end|>", *alphabet, *words]
    numbers = {word: number for number, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.BPE(vocab=numbers, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|begin|>", eos_token="<|end|>", pad_token="<|end|>"
    )
    made.chat_template = CHAT
    made.model_max_length = 8192
    return made


if __name__ == "__main__":
    main()
