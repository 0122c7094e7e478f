"""The source of truth: all that is needed to rebuild every search index, in one SQLite database.

- `store`: runs queries in the one thread that writes; `database`: a connection
- `schema`, `migrations`: the tables, and how older databases get them
- `index_rows`, `spaces`, `documents`, `fields`, `changes`, `ingests`: one module for each concept
- `lookup`: what searches read; `stats`: sizes; `hashes`: names computed from content
- `names`: which indexes a folder has, read beside whoever has it open
- `scrub`: no remains of deleted rows in the file
- `snapshot`, `inspection`: one index as a portable file, and the checks of a foreign one
"""
