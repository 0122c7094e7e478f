"""JSON schemas of callers and files: what is refused when loaded, and checks that are bounded.

- `schema`: `JsonSchema`, the one way in which values are checked. It fetches nothing.
- `references`: which references a schema may hold.
- `keywords`: the keywords, each counting its work.
- `patterns`: regular expressions that take linear time.
"""
