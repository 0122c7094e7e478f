"""How documents get into an index, and how an index gets another embedding model.

- `ingestion`: what can be done to an index, one after the other
- `jobs`: ingests in the background, over restarts
- `ingest`: one ingest, from files to committed documents; `walk`: the files; `drafts`: reading them
- `embedding`: vectors for passages; `reembedding`: the move to another model
"""
