"""The truth: documents, passages and vectors in SQLite, enough to rebuild every search index."""
