"""Whose everything is that benchmarks lease, fill and search."""

TENANT = "default"
