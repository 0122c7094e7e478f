"""What every other package may import, and what imports none of them.

- `settings`: one frozen value of all settings
- `errors`: the root and the families of errors
- `error_codes`: every code with its family, meaning and remedy
- `logging`: the log of the process
- `migrations`: layouts of SQLite databases, brought up to date

The shipped YAML stands here too: `motet.yaml`, `models.yaml`, `indexes.yaml`, `profiles.yaml`.
"""
