"""What the tests of graphs share: an agent out of YAML, and a run of it."""

from __future__ import annotations
