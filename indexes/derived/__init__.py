"""The derived index: vectors and keywords in a worker, rebuilt from storage whenever needed.

In the server:

- `synchronizer`: keeps the replicas up to date; the only module that others use
- `supervisor`, `worker_client`: the worker's process and its requests
- `replica_state`, `replica_saver`, `saved_indexes`: what a replica has seen, and its folder
- `replica_builder`: another replica beside the one that serves, then in its place

In the worker:

- `worker`: the handler of the requests
- `ranking`: from a query to the best passages
- `hybrid_index`, `keywords`, `postings`, `tokens`: one index
- `folder`: saving and loading
- `txtai_parts`: faiss and BM25 out of txtai, without the rest of it
"""
