"""Asking a chat model, as several node types do.

- `ask`: one leased model, one streamed answer. `messages`: what is sent. `conversation`:
  messages that anyone may have written. `foreign`: texts and pictures of others.
- `answers`: an answer's parts, as text or as JSON. `output_schema`: JSON checked against a schema.
- `checking`: an answer compared with what it cites, by the pure functions of `graphs.grounding`.
"""
