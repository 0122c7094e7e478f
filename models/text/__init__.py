"""Texts as models and tools read them: their sentences, their tokens. Pure; all packages use it."""
