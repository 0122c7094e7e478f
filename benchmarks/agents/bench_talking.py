"""A conversation that answers with what is new."""

from benchmarks.growth.talking import talking as build  # noqa: F401
