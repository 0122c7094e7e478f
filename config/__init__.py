"""What every other package may import, and what imports none of them.

- `settings`: one frozen value of all settings
- `errors`: the root and the families of errors
- `error_codes`: every code with its family, meaning and remedy
- `logging`: the log of the process; `redaction`: what of a text is not for everybody
- `files`: files replaced whole or not at all; `trusted_files`: those that decide what runs
- `file_identity`: telling a file from another that takes its name
- `file_writer`: files written beside the event loop
- `yaml_reader`: one dialect of YAML; `yaml_schema`, `yaml_faults`: its scalars and its errors
- `file_faults`: all that is wrong in a file, as one error
- `validation_words`, `hints`, `zone_hints`: errors in words, with what was meant
- `json_values`: values that can be kept; `steps`: bounds on work that callers' values ask for
- `turns`: a bounded number of holders, tenants in turn; `quotas`: how much one tenant may have
- `migrations`: layouts of SQLite databases, brought up to date
- `origins`: web sites as browsers name them; `text_streams`: lines that come over a network;
  `lost_connections`: what ends them, as errors of HTTP clients; `terminal`: texts of others on
  their way to one

The shipped YAML stands here too: `motet.yaml`, `models.yaml`, `indexes.yaml`, `profiles.yaml`.
"""
