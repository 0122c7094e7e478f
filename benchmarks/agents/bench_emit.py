"""Three nodes of which the second emits 200 custom events."""

from benchmarks.graphs import emitting


def build():
    return emitting()
