"""From a file to an `Agent`.

- `build`: the agent of a YAML text, linked to those that it calls.
- `yaml_files`: reading and replacing YAML files. `python_files`: graphs written in Python.
"""
