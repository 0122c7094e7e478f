"""Real language models through Motet, beside the servers and libraries that one would use alone.

Each needs the files of `make test-models` in the folder `MOTET_TEST_MODELS`.

- `agents`: each shipped agent with each model, judged; `tools`: calls of tools, beside LangGraph.
- `grounding`: questions about documents, whose answers must be right and cited.
- `steady`: thousands of runs, and a server that dies; `tokens`: what Motet adds to each token.
- `files`: which models are here; `llama_server`: llama.cpp's own server, which `bare` runs.
- `service`: a service that has declared them.
"""
