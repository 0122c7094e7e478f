"""Three trivial async nodes in a row: all that is measured is what lies around them."""

from benchmarks.graphs import three


def build():
    return three()
