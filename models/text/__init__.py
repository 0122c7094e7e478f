"""Texts as models and tools read them: where their sentences are. Pure; every package uses it."""
