"""Filling an index: folders, uploads, and the move to another embedding model."""
