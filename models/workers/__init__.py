"""Worker processes: every in-process model and every txtai index lives in one of its own.

`process.WorkerProcess` is the server's end; `host` runs in the worker and calls a `Handler`.
"""
