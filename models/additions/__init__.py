"""Models added by one command: looked up, weighed against memory, declared, pulled.

- `candidate`: what would be added; its entry in models.yaml
- `lookup`: finds the candidate for what somebody typed: of this machine (`local_models`), of the
  Hub (`repositories`), of a registry (`tags`)
- `roles`: whether the role of a model comes to prefer it. Pure
- `memory_check`: refuses what can never be loaded here. Pure
- `additions`: adds and removes; writes models.yaml
- `missing`: what the roles name and is not here
"""
