"""The derived index: vectors and keywords in a worker, kept in step with the truth."""
