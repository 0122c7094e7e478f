"""Text that comes in pieces, in which a marker may be cut in two. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from models.text.markers import safe_prefix_length


class StopSequenceFilter:
    """Lets text through up to the first of the `stops`, which is left out."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.stopped = False

    def feed(self, piece: str) -> str:
        """Take a piece, and return what can be shown now."""
        if self.stopped:
            return ""
        text = self._held + piece
        starts = [start for stop in self._stops if (start := text.find(stop)) >= 0]
        if starts:
            self.stopped, self._held = True, ""
            return text[: min(starts)]
        cut = safe_prefix_length(text, self._stops)
        self._held = text[cut:]
        return text[:cut]

    def end(self) -> str:
        """Return what was held back for a stop that did not come."""
        held, self._held = self._held, ""
        return held
