"""Templates and conditions of agent files.

- `expressions`: compiled once, evaluated on a run's state. `sandbox`: what they may do.
- `filters`: the filters beside Jinja's own; the longer ones in `scenes` and `followup`,
  those of single values in `values`.
"""
