"""A drawing as SVG text, without a browser or any other program.

Owns style and shapes; where things go is `layout`'s. Everything that comes from an agent's file is
escaped.
"""

from __future__ import annotations

from itertools import pairwise
from xml.sax.saxutils import escape

from graphs.drawing.diagram import Arrow, Drawing
from graphs.drawing.labels import LINE_HEIGHT, Point, label_lines, label_point, label_width
from graphs.drawing.layout import Box, Layout, lay_out
from graphs.spec.base import END, START

MARGIN = 24.0
STYLE = (
    "text{font-family:system-ui,'Segoe UI',Helvetica,Arial,'DejaVu Sans',sans-serif}"
    "text{text-anchor:middle}"
    ".box{fill:#f7f9fc;stroke:#4a5a78;stroke-width:1.4}.end{fill:#4a5a78;stroke:none}"
    ".name{font-size:14px;font-weight:600;fill:#1d2739}.end+.name{fill:#fff;font-weight:500}"
    ".kind{font-size:12px;fill:#6b7690}"
    ".arrow{fill:none;stroke:#4a5a78;stroke-width:1.4;marker-end:url(#tip)}"
    ".maybe{stroke-dasharray:5 4}"
    ".label{font-size:12px;fill:#33415c;stroke:#fff;stroke-width:5;paint-order:stroke;"
    "stroke-linejoin:round}"
)
TIP = (
    '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" '
    'markerHeight="8" orient="auto"><path d="M0 0 10 5 0 10z" fill="#4a5a78"/></marker></defs>'
)


def write_svg(drawing: Drawing) -> str:
    """Write a drawing as an SVG document."""
    layout = lay_out(drawing)
    left, top, right, bottom = layout.frame()
    x, y = left - MARGIN, top - MARGIN
    width, height = right - left + 2 * MARGIN, bottom - top + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{x:.0f} {y:.0f} {width:.0f} '
        f'{height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img">',
        f"<style>{STYLE}</style>{TIP}",
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" fill="#fff"/>',
        *(_draw_arrow(arrow, _path_down(points)) for arrow, points in layout.forward),
        *(_draw_arrow(arrow, _path_back(arrow, reach, layout)) for arrow, reach in layout.back),
        *(_draw_node(name, drawing.nodes[name], box) for name, box in layout.boxes.items()),
        *(_draw_label(arrow.label, label_point(points)) for arrow, points in layout.forward),
        *(
            _draw_label(arrow.label, _back_label_point(arrow, reach, layout))
            for arrow, reach in layout.back
        ),
        "</svg>\n",
    ]
    return "\n".join(part for part in parts if part)


def _draw_node(name: str, kind: str, box: Box) -> str:
    x, y = box.xy
    end = name in (START, END)
    shape = (
        f'<rect class="box{" end" if end else ""}" x="{x - box.w / 2:.1f}" '
        f'y="{y - box.h / 2:.1f}" width="{box.w:.1f}" height="{box.h:.1f}" '
        f'rx="{box.h / 2 if end else 8:.1f}"/>'
    )
    offset = -3 if kind else 5
    title = f'<text class="name" x="{x:.1f}" y="{y + offset:.1f}">{escape(name)}</text>'
    if not kind:
        return shape + title
    return f'{shape}{title}<text class="kind" x="{x:.1f}" y="{y + 15:.1f}">{escape(kind)}</text>'


def _draw_arrow(arrow: Arrow, path: str) -> str:
    return f'<path class="arrow{" maybe" if arrow.conditional else ""}" d="{path}"/>'


def _path_down(points: tuple[Point, ...]) -> str:
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        half = (y0 + y1) / 2
        path += f"C{x0:.1f} {half:.1f} {x1:.1f} {half:.1f} {x1:.1f} {y1:.1f}"
    return path


def _path_back(arrow: Arrow, reach: float, layout: Layout) -> str:
    source, target = layout.boxes[arrow.source], layout.boxes[arrow.target]
    y0, y1 = source.xy[1], target.xy[1]
    if arrow.source == arrow.target:
        y0, y1 = y0 + source.h / 4, y1 - source.h / 4
    return (
        f"M{source.right:.1f} {y0:.1f}C{reach:.1f} {y0:.1f} {reach:.1f} {y0:.1f} "
        f"{reach:.1f} {(y0 + y1) / 2:.1f}C{reach:.1f} {y1:.1f} {reach:.1f} {y1:.1f} "
        f"{target.right:.1f} {y1:.1f}"
    )


def _back_label_point(arrow: Arrow, reach: float, layout: Layout) -> Point:
    half = (layout.boxes[arrow.source].xy[1] + layout.boxes[arrow.target].xy[1]) / 2
    return reach + label_width(arrow.label) / 2, half


def _draw_label(text: str, at: Point) -> str:
    lines = label_lines(text)
    first = at[1] + 4 - (len(lines) - 1) * LINE_HEIGHT / 2
    return "".join(
        f'<text class="label" x="{at[0]:.1f}" y="{first + number * LINE_HEIGHT:.1f}">'
        f"{escape(line)}</text>"
        for number, line in enumerate(lines)
    )
