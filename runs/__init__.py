"""Runs: accepted, executed, recovered and followed, on one SQLite file.

- `engine` accepts, resumes, cancels and recovers runs; `admission` and `multitask` decide when one
  may start, `executor` and `execution` run it, `agent_versions` keeps the agent it began with.
- `record` holds what is known of a run and its table of transitions; `answers` checks what a
  person answered.
- `stream_translator` makes events of LangGraph's stream, `event_types` declares them, `events`
  encodes them, `run_log` orders, stores and publishes them.
- `database` commits and reads, `schema` and `rows` lay the tables out, `store` is the only module
  with queries of runs, events and threads, `checkpoints` is LangGraph's saver on the same file.
- `threads` and `thread_shapes` serve conversations in the LangGraph server protocol's shapes;
  `webhooks` tells other services that a run has ended.
"""
