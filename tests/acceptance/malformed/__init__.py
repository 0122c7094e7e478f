"""Requests that no server should grant, each with the refusal that it deserves.

A module for each kind, of cases as `case` describes them; `test_malformed` sends them all.
"""

from __future__ import annotations

from tests.acceptance.malformed.bodies import BODIES
from tests.acceptance.malformed.case import Case
from tests.acceptance.malformed.indexes import INDEXES
from tests.acceptance.malformed.models import MODELS
from tests.acceptance.malformed.paths import PATHS
from tests.acceptance.malformed.runs import RUNS
from tests.acceptance.malformed.threads import THREADS
from tests.acceptance.malformed.uploads import UPLOADS

__all__ = ["CASES", "Case"]

CASES = [*BODIES, *RUNS, *THREADS, *INDEXES, *MODELS, *UPLOADS, *PATHS]
