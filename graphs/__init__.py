"""Agents: what their files declare, how they become LangGraph graphs, and what their nodes do.

A reader's way through the rooms:

- `agent`: the value that everything outside works with. `catalog`: all agents by name.
  `interface`: an agent's typed input and output.
- `spec/`: what a YAML file declares, read and checked. `loading/`: from a file to an `Agent`.
- `compile/`: from a spec to a LangGraph graph, and one step of it (`node_runner`).
- `nodes/`: one module for each node type. `chat/`: asking a chat model, for several of them.
- `templates/`: expressions, filters and their sandbox. `grounding/`: whether answers are supported.
- `drawing/`: graphs as pictures. `library/`: the agents that are shipped, as YAML.
- `run_context`: what a run's nodes may use. `exposure`: whether it has read something private, and
  which addresses people wrote to it. `node_cache`: results that nodes ask to be kept.

Imports run from `catalog` down: `loading`, `agent`, `nodes`, `chat`, `compile`, then `templates`,
`grounding` and `spec`, which are pure. `spec.agent_spec` alone looks up, to the map of node types.
Running an agent (threads, checkpoints, events) is `runs`'.
"""
