"""Searchable documents. SQLite holds the truth; txtai's index is derived from it.

`service.open_indexes` opens everything and hands out `Indexes`. Two worker processes do what the
server must not: `reader` parses documents that came from anywhere, `worker` alone imports txtai.
"""
