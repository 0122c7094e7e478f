"""Like bench_emit, but it says nothing."""

from benchmarks.graphs import quiet


def build():
    return quiet()
