"""What several back ends share.

`base_driver`, `worker_model`, `torch_options`: models of ours in worker processes.
`streaming_chat`, `checked_chat`: LangChain chat models. `remote_embed`, `network`,
`transports`, `single_flight`: models of other servers. `speaking`, `spoken`: voices. `sources`,
`formats`, `gguf`: files of models. `batches`, `options`, `overflow`, `prompts`, `vectors`, `wav`:
pure helpers. `worker` is for worker processes alone: it imports torch.
"""
