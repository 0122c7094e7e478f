"""From a file to an `Agent`.

- `build`: the agent of a YAML text, linked to those that it calls.
- `outside`: what a file names beside agents, such as tools and models, and what of it is missing.
- `folders`: every agent of the folders, and which one a name means.
- `reload`: what a change of the files changed.
- `yaml_files`: reading and replacing YAML files. `python_files`: graphs written in Python.
"""
