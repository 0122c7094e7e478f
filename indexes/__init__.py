"""Searchable documents. SQLite is the source of truth; the search index is derived from it.

`service.open_indexes` opens everything and hands out `library.Indexes`, which hands out
`index.Index` for an index and tenant.

- `formats` and `reading`: from bytes to text with structure, cut into passages, in a worker
- `storage`: documents, passages and vectors in SQLite
- `ingestion` and `crawls`: how documents come in, and stay up to date with folders and sites
- `derived`: txtai's vectors and keywords in a worker, kept up to date with storage
- `retrieval`: from a query to passages and citations
- `quality`: calibrating an index and measuring it
- `spec`: how an index is declared; `records`, `reports`: values that the parts hand to each other
- `checks`: what callers hand in; `tasks`: background work whose failure is logged

Documents are committed to `storage` first; `derived` follows. Losing the derived index costs time,
never data.
"""
