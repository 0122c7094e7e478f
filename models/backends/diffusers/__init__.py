"""Diffusers: pictures from words, from other pictures, and within masks."""
