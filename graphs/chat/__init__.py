"""Asking a chat model, as several node types do.

- `ask`: one leased model, one streamed answer. `token_events`: what its readers get meanwhile.
  `messages`: what is sent. `conversation`: messages that anyone may have written. `foreign`: texts
  of others in them. `sampling`: how the model is to write.
- `context_window`: what of it fits a model's context; `context_fitting` does that for a lease.
- `picture_filter`: what a model writes, without what a screen would load from elsewhere.
- `answers`: an answer's parts, as text or as JSON. `output_schema`: JSON checked against a schema.
  `schema_skeleton`: the form that a model fills in; `schema_readings`: what it may have meant.
- `checking`: an answer compared with what it cites, by the pure functions of `graphs.grounding`.
"""
