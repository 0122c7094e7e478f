"""The table as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib as mpl

if TYPE_CHECKING:
    from benchmarks.simulator.table import Result

COLOURS = {"Motet": "#2563eb", "LRU": "#d6a13c", "Ollama": "#9ca3af"}
LOOK = {
    "svg.hashsalt": "motet",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def plot(found: Mapping[str, Mapping[str, Result]], file: str) -> None:
    """Swaps, and the longest waits but one in a hundred, of each trace, as an SVG file."""
    mpl.use("svg")
    mpl.rcParams.update(LOOK)
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 5.2), sharey=True, layout="constrained")
    names = list(found)[::-1]
    for axis, field, title in (
        (axes[0], "swaps", "models loaded again"),
        (axes[1], "p99_s", "wait, 99 of 100 requests, s"),
    ):
        for place, (policy, colour) in enumerate(COLOURS.items()):
            values = [getattr(found[name][policy], field) for name in names]
            heights = [number + 0.27 * (1 - place) for number in range(len(names))]
            axis.barh(heights, values, height=0.25, color=colour, label=policy)
        axis.set_title(title, fontsize=9, loc="left")
        axis.set_yticks(range(len(names)), names)
        axis.tick_params(length=0)
    axes[0].set_xscale("log")
    axes[1].legend(frameon=False, loc="lower right")
    figure.savefig(file, metadata={"Date": None})
