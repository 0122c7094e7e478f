"""What Whisper wrote about a window of sound, as stretches of speech. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

TICK_S = 0.02


@dataclass(frozen=True, slots=True)
class TimedTokens:
    """Text tokens from `start_s` to `end_s` of the window."""

    start_s: float
    end_s: float
    tokens: tuple[int, ...]


def parse_timestamps(
    tokens: Sequence[int], first_time: int, is_text: Callable[[int], bool], window_s: float
) -> tuple[list[TimedTokens], float]:
    """Return the stretches, and where in the window to listen on.

    A token from `first_time` on is a time, by ticks of 20 ms. A stretch stands between two of
    them; one whose end does not come is cut by the window, and heard again from its start.
    """
    stretches: list[TimedTokens] = []
    start_s: float | None = 0.0
    words: list[int] = []
    for token in tokens:
        if token < first_time:
            words += [token] if is_text(token) else []
            continue
        now_s = min((token - first_time) * TICK_S, window_s)
        if words:
            stretches.append(_stretch(stretches, start_s, now_s, words))
            start_s, words = None, []
        else:
            start_s = now_s
    if not words:
        # A time alone at the end says that the next stretch begins there.
        return stretches, start_s if stretches and start_s else window_s
    begin_s = start_s if start_s is not None else stretches[-1].end_s
    if stretches and begin_s > 0:
        return stretches, begin_s
    return [*stretches, _stretch(stretches, begin_s, window_s, words)], window_s


def _stretch(
    before: Sequence[TimedTokens], start_s: float | None, end_s: float, words: Sequence[int]
) -> TimedTokens:
    if start_s is None:
        start_s = before[-1].end_s
    return TimedTokens(start_s, max(start_s, end_s), tuple(words))
