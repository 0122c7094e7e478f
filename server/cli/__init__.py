"""The `motet` command, a client of the service.

- `main`: the entry point, and the commands that need no group
- `index`, `models`: the groups `motet index` and `motet models`
- `run`, `ingest`, `index_quality`, `snapshots`, `model_follow`, `demo`, `doctor`, `agents`: what
  the commands do
- `client`: the way to the service: the one that runs on the data folder, or one beside the command
- `artifact_files`: files between here and the service
- `command`: options that commands share
- `console`, `run_output`, `search_output`, `model_tables`, `evaluation_plot`: what a person sees

A command imports what it needs when it is called: `motet --help` starts in a fraction of a second.
Nothing but `client` and `main` knows that the service may run in this process.
"""
