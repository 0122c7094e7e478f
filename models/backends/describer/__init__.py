"""Describes a picture by its pixels alone, without a neural model."""
