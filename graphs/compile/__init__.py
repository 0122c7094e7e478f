"""From a spec to a LangGraph graph, and the running of one node.

- `node`: the contract of node types: what they give, and what they get. Begin here.
- `compiler`: channels, nodes and edges put into a LangGraph builder.
- `state`: LangGraph's channels and reducers. `flow`: what follows what, and its checks.
  `loops`: loops within loops. `router`: the flow as LangGraph's edges. `join`: nodes that wait for
  parallel branches.
- `node_runner`: one step: inputs, cache, time limit, saving, errors. `retry`: what is tried again.
  `durable`: pieces of a step whose results survive a crash. `user_nodes`: nodes of Python graphs.
  `plain_nodes`: nodes without LangChain's chain around them.
  `fan_out`: bounds on what one step asks for at once.
"""
