"""The service and the `motet` command: everything that faces a user.

- `services`: the composition root; every part of a running Motet is opened there
- `adapters`: what one package needs, made of what another has
- `http`: what all routes share: bodies, errors, streams, access
- `routes`: one module for each kind of resource
- `app`: the FastAPI application, made of middleware and routes
- `serving`: the application under uvicorn, until a signal
- `cli`: the command, a client of the service
- `data_folder`, `private_folder`, `owner_token`, `temp_files`: the data folder, its owner's alone
- `lifecycle`, `readiness`, `event_loop`, `tenants`, `folder_watcher`, `machine_profile`: parts of
  the service itself
- `error_page`: writes docs/errors.md

Imports run one way through this list, from `cli` up; a contract in pyproject.toml holds that.
"""
