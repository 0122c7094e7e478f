"""Retrieval: from a query to passages, and from a passage to what stands around it.

    search       the Retriever: candidates deduplicated, reranked, expanded, highlighted
    query        what a search asks for
    targets      where it looks: indexes, allowed passages, the query's vectors
    filters      metadata conditions as SQL
    candidates   hits of each target, rescored and fused
    rescoring    by the best excerpt of each candidate (excerpts)
    completeness what a search could not look at
    fusion       rankings of several indexes made one; the same text once
    reranking    by a cross-encoder
    expansion    neighbours and sections; highlights marks words; citing opens a span
    similar      documents that are like one
    smoothing    vectors mixed with those around them, before they are indexed

What is stored, and the indexes of vectors and keywords, are `storage`'s and `derived`'s.
"""
