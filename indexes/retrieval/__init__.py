"""Retrieval: from a question to passages, and from a passage to what stands around it."""
