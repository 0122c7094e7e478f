"""Runs: accepted, executed, recovered and followed, on one SQLite file.

- `engine` accepts, resumes, cancels and recovers runs; `multitask` decides what a new one does to
  others on its thread. `attempts` begins an attempt, `executor` runs it when `admission` lets it,
  `execution` turns the graph's stream into events and an end. `agent_versions` finds the agent
  that the run began with.
- `record` holds what is known of a run and its table of transitions; `answers` checks what a
  person answered.
- `stream_translator` makes events of LangGraph's stream, `event_types` declares them, `events`
  encodes them, `run_log` orders, stores and publishes them.
- `database` commits and reads, `schema` and `rows` lay the tables out, `store` is the only module
  with queries of runs, events and threads, `deliveries` those of webhooks. `wal` bounds the file's
  log, `retention` deletes what has grown old. `checkpoints` is LangGraph's saver on the same file.
- `threads` and `thread_shapes` serve conversations in the shapes of the LangGraph server protocol;
  `webhooks` calls other services when a run has ended, `webhook_signing` signs the calls.
"""
