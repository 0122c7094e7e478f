"""Searchable documents. SQLite holds the truth; the search index is derived from it.

`service.open_indexes` opens everything and hands out `library.Indexes`.

- `formats` and `reading`: from bytes to text with structure, cut into passages, in a worker
- `truth`: documents, passages and vectors in SQLite
- `filling` and `crawls`: how they come in, and stay in step with folders and sites
- `derived`: txtai's vectors and keywords in a worker, kept in step with the truth
- `retrieval`: from a question to passages and citations
- `quality`: calibrating an index and measuring it
"""
