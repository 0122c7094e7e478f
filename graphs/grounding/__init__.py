"""Whether an answer is supported by the passages that it cites. Pure: no model, no I/O.

- `claims`: the sentences of an answer with their citation markers.
- `support`: the verdict on each claim, by `quotes` (word for word), `facts` (numbers, names) and
  cosines that are handed in. `stopwords`: the word lists of these.
- `attribution`: which passage says what a sentence says that cites none.
- `citations`: the checked answer as users see it.
- `fallback`: what becomes of an answer that no passage says: the evidence is quoted, or it refuses.

`graphs.chat.checking` calls them within a run.
"""
