"""The curve of an evaluation as an SVG picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

WIDTH, HEIGHT, MARGIN = 640, 400, 48
LINES = {
    "right": "#1a7f37",
    "wrong": "#cf222e",
    "refused": "#6e7781",
    "refused_near": "#0969da",
    "refused_far": "#8250df",
}
NAMES = {"refused_near": "unanswerable, near: refused", "refused_far": "unanswerable, far: refused"}


def curve_svg(report: Mapping[str, Any]) -> str:
    """Shares of the questions over the threshold, and where the threshold stands."""
    points: Sequence[Mapping[str, Any]] = report["curve"]
    scores = [point["threshold"] for point in points]
    low, high = min(scores, default=0.0), max(scores, default=1.0)

    def x(score: float) -> float:
        return round(MARGIN + (score - low) / ((high - low) or 1.0) * (WIDTH - 2 * MARGIN), 1)

    parts = [_frame(str(report["index"]), low, high)]
    for number, (name, colour) in enumerate(LINES.items()):
        known = [(x(p["threshold"]), _y(p[name])) for p in points if p[name] is not None]
        if known:
            path = " ".join(f"{left},{top}" for left, top in known)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}"/>')
            parts.append(_legend(number, NAMES.get(name, name), colour))
    if low <= report["threshold"] <= high:
        at = x(report["threshold"])
        parts.append(
            f'<line x1="{at}" y1="{MARGIN}" x2="{at}" y2="{HEIGHT - MARGIN}" stroke="#000" '
            'stroke-dasharray="4 3"/>'
        )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
    return "\n".join([head, *parts, "</svg>\n"])


def _y(share: float) -> float:
    return round(HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN), 1)


def _frame(title: str, low: float, high: float) -> str:
    ticks = "".join(
        f'<text x="{MARGIN - 6}" y="{_y(share) + 4}" text-anchor="end">{share:g}</text>'
        for share in (0, 0.25, 0.5, 0.75, 1)
    )
    return (
        f'<g font-family="sans-serif" font-size="11"><rect width="{WIDTH}" height="{HEIGHT}" '
        f'fill="#fff"/><text x="{MARGIN}" y="20" font-size="13">{escape(title)}: shares of the '
        f'questions by threshold</text>{ticks}<text x="{MARGIN}" y="{HEIGHT - 28}">{low:.2f}'
        f'</text><text x="{WIDTH - MARGIN}" y="{HEIGHT - 28}" text-anchor="end">{high:.2f}</text>'
        f'<path d="M{MARGIN} {MARGIN}V{HEIGHT - MARGIN}H{WIDTH - MARGIN}" fill="none" '
        'stroke="#888"/></g>'
    )


def _legend(number: int, name: str, colour: str) -> str:
    left = MARGIN + number * 112
    return (
        f'<text x="{left}" y="{HEIGHT - 8}" font-family="sans-serif" font-size="10" '
        f'fill="{colour}">{escape(name.replace("unanswerable, ", ""))}</text>'
    )
