"""Templates and conditions of agent files.

- `expressions`: compiled once, evaluated on a run's state. `sandbox`: what they may do.
- `rendering`: evaluating them, on the loop or in a thread. `work` counts steps, `costs` has those
  of each filter, `operators` the parts of the language, `plain` the values that come out.
- `filters`: the filters beside Jinja's own; the longer ones in `scenes`, `markdown` and `followup`,
  those of single values in `values`.
"""
