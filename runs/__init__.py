"""Runs: accepted, executed, recovered and followed, on one SQLite file.

- `engine` accepts, resumes and cancels runs; `multitask` decides what a new one does to others on
  its thread, `idempotency` finds what was asked for before. `attempts` begins an attempt,
  `executor` runs it when `admission` lets it, `input_choice` says with what, `execution` turns the
  graph's stream into events and an end. `recovery` takes up what nothing executes, `held` has those
  that stay so, `stored_runs` serves those of a folder without a server. `rejections` words why a
  request is refused.
- `record` holds what is known of a run and its table of transitions; `answers` checks what a
  person answered; `failures` words what went wrong, `abandoned_steps` what a cancellation left.
- `agent_versions` finds the agent that a run began with, `saved_versions` its sources.
- `graph_stream` takes what LangGraph streams, as it comes; `stream_translator` makes events of it,
  `event_types` declares them, `events` encodes them, `run_log` orders, stores and publishes them,
  `event_page` writes their page.
- `database` commits and reads, `schema` and `rows` lay the tables out. Queries are in `store` (of
  runs), `stored_events`, `stored_threads` with `metadata_index`, `saved_versions` and `deliveries`
  (of webhooks). `wal` bounds the file's log, `retention` deletes what has grown old by
  `retention_statements`.
- `checkpoints` is LangGraph's saver on the same file, with `task_writes`; what states hold is
  stored in `parts`, to which `outputs` refer. `checkpoint_statements` has what is done to whole
  threads; `journal` is what checkpoints ask of the run's log.
- `threads` and `thread_shapes` serve conversations in the shapes of the LangGraph server protocol,
  under ids that `thread_names` allows; `state_edits` changes their states as `edit_checks`
  allows, `rehearsal` shows where that leads, `staging` edits below a question.
- `pages` bounds lists by bytes.
- `webhooks` calls other services when a run has ended, `webhook_signing` signs the calls.
"""
