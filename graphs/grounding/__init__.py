"""Whether an answer is supported by the passages that it cites. Pure: no model, no I/O.

- `claims`: the sentences of an answer with their citation markers.
- `support`: the verdict on each claim, by `quotes` (word for word), `facts` (numbers, names) and
  cosines that are handed in. `stopwords`: the word lists of these.
- `citations`: the checked answer as users see it.

`graphs.chat.checking` calls them within a run.
"""
