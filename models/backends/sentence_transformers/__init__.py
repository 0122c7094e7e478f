"""Embedding models of the sentence-transformers library."""
