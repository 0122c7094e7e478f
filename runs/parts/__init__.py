"""States stored as parts: each checkpoint holds what is new in it, and refers to what is not.

A channel's value that is large is stored once and referred to by the checkpoints that hold it. A
list that grows is a sequence of pieces of such values (`spine`), so that a checkpoint writes what
was added and some hundred bytes, however long the list is. Parts are written with the checkpoint
that makes them, and a checkpoint refers to its own parts and to those of checkpoints before it on
its thread: they go when it goes, and nothing is counted.

- `spine` lays out a sequence; `part_writer` and `part_reader` turn parts into rows and back;
  `reference` says where a value lies.
- `chunks` holds stretches of a list in memory and tells whether they have changed, `stored_items`
  knows what is stored of a list, `stored_values` of any channel; they write what is new.
- `states` encodes and decodes checkpoints, by the names that `inputs` gives; `thread_states`
  remembers the last ones of threads in use.
"""
