"""What an agent's YAML file declares, read and checked.

- `agent_spec`: the file as a whole, `read_spec`, and the JSON schema for editors.
- `node_spec`, `channels`, `branches`: its parts, each with short forms. `base`: names and limits.
- `channel_types`: what the types `string`, `list`, `image` and so on accept.
- `source`: YAML to plain values with their lines. `problems`: everything that is wrong, in one
  error. `validation`: pydantic's errors in the file's words. `yaml_writer`: a spec as YAML again.
- `fields`: values checked against declared fields, for input and people's answers.
"""
