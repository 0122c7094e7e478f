"""Worker processes: every in-process model and every txtai index lives in one of its own.

In the server:

- `process`: one worker: started, called, watched, ended; `launch`: its process, `calls`: the
  requests under way, `errors`: how starts and calls fail, `environment`: the variables it gets
- `confinement`: what a worker may not do; `memory_kills`: what the kernel ended for want of memory
- `prewarmed`: starts from a process that has done the imports; `restart`: a second start
- `supervised`: a worker that comes back; `on_demand`: one that comes when needed
- `parsing`: failures of workers that parse files from anywhere

In the worker:

- `host`: runs a `Handler`; `inbox`: the requests that wait
- `memory`: how much RAM a process takes, with the files it maps; for servers too
- `sandbox`, `limits`: the confinement, carried out

`protocol` is the wire between them.
"""
