"""`make bench`: every benchmark, one after another; or those named, `make bench ARGS="runs"`."""

from __future__ import annotations

import asyncio
import os
import sys
from importlib import import_module

NAMES = (
    "startup",
    "runs",
    "events",
    "ask",
    "search",
    "embed",
    "memory",
    "leases",
    "simulator",
    "growth",
    "filters",
)
ON_DEMAND = ("gpu", "roundtrip", "endurance", "hostile")
"""Those that need a machine of their own, measure quality or find faults; not in `make bench`."""
LANGUAGE = ("agents", "grounding", "tools", "steady", "tokens")
"""Those with real language models, whose files `make test-models` gets; not in `make bench`."""


def main() -> None:
    """Run the benchmarks named on the command line, or all."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    known = (*NAMES, *ON_DEMAND, *LANGUAGE)
    for name in [each for each in sys.argv[1:] if not each.startswith("--")] or NAMES:
        if name not in known:
            sys.exit(f"There is no benchmark '{name}'. There are: {', '.join(known)}.")
        package = "benchmarks.language" if name in LANGUAGE else "benchmarks"
        asyncio.run(import_module(f"{package}.{name}").main())


if __name__ == "__main__":
    main()
