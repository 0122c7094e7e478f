"""Runs that are killed at any moment, and what the next process makes of them.

`engines` opens engines over small Python `graphs` whose nodes a test holds; `processes` opens whole
processes over the agents of `agents/`, with an input and an output for each in `cases`; `recording`
follows a run while `disk` notes what every commit left; `story` checks what its readers got.
`growing` has threads whose state grows. `statements` notes what SQLite is asked, and how much work
that is."""
