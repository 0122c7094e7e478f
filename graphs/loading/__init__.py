"""From a file to an `Agent`.

- `build`: the agent of a YAML text, linked to those that it calls.
- `folders`: every agent of the folders, and which one a name means.
- `yaml_files`: reading and replacing YAML files. `python_files`: graphs written in Python.
"""
