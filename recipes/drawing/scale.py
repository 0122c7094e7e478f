"""Sizes that the parts of the pipeline share."""

from __future__ import annotations

SEED = 2026
PIXELS = 128
LATENT_CHANNELS = 8
TEXT_TOKENS = 64
TEXT_WIDTH = 64
