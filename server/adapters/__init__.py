"""Adapters: what one package asks for, made of what another one has.

Packages below the service know each other by small protocols only. The adapters here fulfil
them; `server.services` hands them out.

- `media`: searching, indexing and pictures, for tools, graphs and ingests
- `index_quality`: the reader and the language model, for calibrating and evaluating indexes
- `web`: fetching pages for crawls, sending webhooks
- `run_contexts`: what the nodes of a run are given
- `surroundings`: what there is around agents' files; `declarations`: models and indexes as declared
"""
