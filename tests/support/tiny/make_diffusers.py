"""Makes tiny pipelines with random weights, in the formats of the diffusers library.

Run as a program, because torch has no place in the process of the tests.

    sd      Stable Diffusion, of pictures of 64 x 64
    sdxl    Stable Diffusion XL: two text encoders, pictures of 64 x 64, halved weights
    mask    Stable Diffusion of masks alone: its denoiser takes picture and mask too
    lora    a LoRA for `sd`
    other   a LoRA that fits neither
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

WIDTH = 32
SAFELY: dict[str, Any] = {
    "safety_checker": None,
    "feature_extractor": None,
    "requires_safety_checker": False,
}


def tokenizer() -> CLIPTokenizer:
    """Of letters."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    signs = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens = ["<unk>", "<|startoftext|>", "<|endoftext|>", *signs]
    vocab = {token: number for number, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocab, merges=[], unk_token="<unk>", model_max_length=16)


def text_config(words: CLIPTokenizer) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )


def autoencoder() -> AutoencoderKL:
    return AutoencoderKL(
        sample_size=64,
        latent_channels=4,
        block_out_channels=(8, 16, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
        mid_block_add_attention=False,
    )


def denoiser(**changed: Any) -> UNet2DConditionModel:
    fields = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": (16, 32),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "layers_per_block": 1,
        "cross_attention_dim": WIDTH,
        "attention_head_dim": 2,
        "norm_num_groups": 4,
    }
    return UNet2DConditionModel(**{**fields, **changed})


def sd(folder: Path) -> None:
    words = tokenizer()
    StableDiffusionPipeline(
        vae=autoencoder(),
        text_encoder=CLIPTextModel(text_config(words)),
        tokenizer=words,
        unet=denoiser(),
        scheduler=DDIMScheduler(clip_sample=False),
        **SAFELY,
    ).save_pretrained(folder)


def mask(folder: Path) -> None:
    words = tokenizer()
    StableDiffusionInpaintPipeline(
        vae=autoencoder(),
        text_encoder=CLIPTextModel(text_config(words)),
        tokenizer=words,
        unet=denoiser(in_channels=9),
        scheduler=DDIMScheduler(clip_sample=False),
        **SAFELY,
    ).save_pretrained(folder)


def sdxl(folder: Path) -> None:
    words = tokenizer()
    pipeline = StableDiffusionXLPipeline(
        vae=autoencoder(),
        text_encoder=CLIPTextModel(text_config(words)),
        text_encoder_2=CLIPTextModelWithProjection(text_config(words)),
        tokenizer=words,
        tokenizer_2=words,
        unet=denoiser(
            cross_attention_dim=2 * WIDTH,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + WIDTH,
        ),
        scheduler=EulerDiscreteScheduler(),
    )
    pipeline.to(dtype=torch.float16).save_pretrained(folder, variant="fp16")


def lora(folder: Path, rank: int = 2, inputs: int = 32) -> None:
    name = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    folder.mkdir()
    save_file(
        {
            f"{name}.lora_A.weight": torch.randn(rank, inputs),
            f"{name}.lora_B.weight": torch.randn(32, rank),
        },
        folder / "pytorch_lora_weights.safetensors",
    )


def other(folder: Path) -> None:
    lora(folder, inputs=17)


MAKERS = {"sd": sd, "sdxl": sdxl, "mask": mask, "lora": lora, "other": other}

if __name__ == "__main__":
    for name in sys.argv[2:] or MAKERS:
        torch.manual_seed(0)
        MAKERS[name](Path(sys.argv[1]) / name)
