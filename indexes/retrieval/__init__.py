"""Retrieval: from a query to passages, and from a passage to what stands around it.

    search       the Retriever: candidates deduplicated, reranked, expanded, highlighted
    query        what a search asks for
    targets      where it looks: indexes, allowed passages, the query's vectors
    filters      metadata conditions as SQL
    candidates   hits of each target, rescored and fused
    rescoring    by the best excerpt of each candidate (excerpts)
    fusion       rankings of several indexes made one; the same text once
    reranking    by a cross-encoder
    expansion    neighbours and sections; citing opens a span; similar finds documents
    smoothing    vectors mixed with those around them, before they are indexed

What is stored, and the indexes of vectors and keywords, are `storage`'s and `derived`'s.
"""
