"""What tests share: fakes, servers that can be scripted, and helpers: a map.

- **Tests themselves**: `rings` (which ring, which are slow), `fixtures` (pytest's), `service`
  (requests to a running service, and agents in `agents/`), `command` (the `motet` command),
  `forked` (it and servers, without the second that their imports cost), `socket_gate` (holds a
  node or worker of another process until the test lets it go).
- **Models, as the manager sees them**: `models` (a driver in memory), `manager` (the manager over
  it), `scheduling` (the scheduler by hand, at random, in running time), `scenarios` (real workers
  that take real memory on a small machine), `worker_handler`, `orphaning_server`,
  `forked_workers` (real ones, without the seconds that their imports cost).
- **Models, as nodes, tools and indexes see them**: `graphs` (chat models by script, indexes),
  `media` (pictures, captions, speech, hearing), `indexes` (embedders and a reranker without a
  model).
- **Real libraries, tiny models**: `tiny`.
- **Other people's servers, over real HTTP**: `ollama` with `ollama_wire`, `runners`, `generation`;
  `openai` with `openai_wire`; `hub`, `registry`, `docker`, `site`. They answer by a `script`,
  whose `Gate` holds a reply. `server` and `exchange` carry them, `stale_relay` drops their kept
  connections; `recorded` has what the real ones said, and `test_replay` compares.
  `ollama_program` and `managed` are servers to be started as processes.
- **Runs**: `graph_runs` (an agent out of YAML, run without an engine), `runs` (engines that are
  killed at any moment), `errands` (a server that is, and clients that bear with it), `full_disk`,
  `webhook_receiver`.
- **Documents and files**: `documents`, `handbook`, `media_files`, `killed_indexes` (a process that
  changes indexes until it is killed).

A fake keeps the protocol of the real part, passes its contract suite where there is one, and
asserts what must not happen.
"""
