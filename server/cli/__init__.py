"""The `motet` command, a client of the service.

- `main`: the entry point, and the commands that need no group
- `index`, `models`, `runs`: the groups `motet index`, `motet models` and `motet runs`
- `run`, `check`, `ingest`, `index_quality`, `snapshots`, `model_add`, `model_follow`, `demo`,
  `doctor`, `artifact_scan`, `agents`, `agent_versions`, `retention`: what the commands do
- `client`: the way to the service: the one that runs on the data folder, or one beside the command
- `artifact_files`: files between here and the service, under `file_names` that are safe
- `command`: options that commands share
- `console`, `run_output`, `search_output`, `model_tables`, `evaluation_plot`: what a person sees

A command imports what it needs when it is called: `motet --help` starts in a fraction of a second.
Nothing but `client` and `main` knows that the service may run in this process.
"""
