"""all-MiniLM-L6-v2: embeddings on any machine, offline."""
