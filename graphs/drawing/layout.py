"""Where a drawing's boxes and arrows go: layers from top to bottom.

The layers are the library grandalf's (Sugiyama's method), whose work grows with the square of the
arrows and of the layers that they cross: a graph with too many is laid out in rows, with straight
arrows. Arrows that close a loop are ours: they would turn the layers upside down, so they go round
on the right. Lengths are in SVG's units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from itertools import accumulate

from graphs.drawing.diagram import Arrow, Drawing
from graphs.drawing.labels import LINE_HEIGHT, Point, label_height, label_point, label_width
from graphs.spec.base import START

CHAR_WIDTH = 8.4
"""Of a letter in a box's name, at the 14 px of `svg`'s style."""
BOX_HEIGHT, MIN_BOX_WIDTH = 48.0, 104.0
GAP_X, GAP_Y = 44.0, 54.0
SIDE_GAP = 34.0
"""Between an arrow that leads back and what it goes round."""
MAX_CROSSED = 600
"""Layers that all arrows of a drawing cross together. Beyond, it has rows."""
MAX_ARROWS = 1200
"""Of a drawing in layers."""


@dataclass
class Box:
    """A node's size and its centre. (The names are those that the layout library reads.)"""

    w: float
    h: float
    xy: Point = (0.0, 0.0)

    @property
    def right(self) -> float:
        return self.xy[0] + self.w / 2


@dataclass
class _Path:
    points: list[Point] = field(default_factory=list)
    head_angle: float = 0.0

    def setpath(self, points: list[Point]) -> None:
        self.points = points


@dataclass(frozen=True)
class Layout:
    """Boxes by node, and each arrow's points; an arrow that leads back goes round on the right."""

    boxes: Mapping[str, Box]
    forward: tuple[tuple[Arrow, tuple[Point, ...]], ...]
    back: tuple[tuple[Arrow, float], ...]
    """With how far to the right each goes."""

    def frame(self) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom of everything."""
        points = [point for _, path in self.forward for point in path]
        for arrow, path in self.forward:
            (x, y), half = label_point(path), label_width(arrow.label) / 2
            rise = label_height(arrow.label) / 2
            points += [(x - half, y - rise), (x + half, y + rise)]
        right = [reach + label_width(arrow.label) for arrow, reach in self.back]
        boxes = self.boxes.values()
        return (
            min([box.xy[0] - box.w / 2 for box in boxes] + [x for x, _ in points]),
            min([box.xy[1] - box.h / 2 for box in boxes] + [y for _, y in points]),
            max([box.right for box in boxes] + [x for x, _ in points] + right),
            max([box.xy[1] + box.h / 2 for box in boxes] + [y for _, y in points]),
        )


def lay_out(drawing: Drawing) -> Layout:
    """Lay out a drawing. Takes milliseconds for tens of nodes, and never seconds; pure CPU."""
    forward, back = _split_directions(drawing)
    rows = _rows(drawing, forward)
    crossed = sum(rows[arrow.target] - rows[arrow.source] - 1 for arrow in forward)
    if crossed > MAX_CROSSED or len(drawing.arrows) > MAX_ARROWS:
        return _lay_out_rows(drawing, rows, forward, back)
    return _lay_out_layers(drawing, forward, back)


def _rows(drawing: Drawing, forward: list[Arrow]) -> dict[str, int]:
    """Return how many nodes lead to each, on the longest way."""
    before: dict[str, list[str]] = {name: [] for name in drawing.nodes}
    for arrow in forward:
        before[arrow.target].append(arrow.source)
    rows: dict[str, int] = {}
    for name in TopologicalSorter(before).static_order():
        rows[name] = max((rows[source] + 1 for source in before[name]), default=0)
    return rows


def _lay_out_rows(
    drawing: Drawing, rows: Mapping[str, int], forward: list[Arrow], back: list[Arrow]
) -> Layout:
    """Lay out a drawing in rows, its nodes in their order; the work is that of writing it down."""
    boxes = {name: _box(name, kind) for name, kind in drawing.nodes.items()}
    ends: dict[int, float] = {}
    for name, box in boxes.items():
        left = ends.get(rows[name], 0.0)
        box.xy = (left + box.w / 2, rows[name] * (BOX_HEIGHT + GAP_Y))
        ends[rows[name]] = left + box.w + GAP_X
    straight = tuple((arrow, _line(boxes[arrow.source], boxes[arrow.target])) for arrow in forward)
    gaps = [SIDE_GAP + label_width(arrow.label) for arrow in back]
    reaches = accumulate(gaps, initial=max(ends.values(), default=0.0))
    return Layout(boxes, straight, tuple(zip(back, reaches, strict=False)))


def _line(source: Box, target: Box) -> tuple[Point, Point]:
    (x0, y0), (x1, y1) = source.xy, target.xy
    return (x0, y0 + source.h / 2), (x1, y1 - target.h / 2)


def _lay_out_layers(drawing: Drawing, forward_arrows: list[Arrow], back: list[Arrow]) -> Layout:
    from grandalf.graphs import Edge, Graph, Vertex  # 0.1 s that only pictures need
    from grandalf.layouts import SugiyamaLayout
    from grandalf.routing import route_with_lines

    boxes = {name: _box(name, kind) for name, kind in drawing.nodes.items()}
    vertices = {name: Vertex(name) for name in drawing.nodes}
    for name, vertex in vertices.items():
        vertex.view = boxes[name]
    edges = [
        (arrow, Edge(vertices[arrow.source], vertices[arrow.target])) for arrow in forward_arrows
    ]
    for _, edge in edges:
        edge.view = _Path()
    labels = max((label_width(arrow.label) for arrow in forward_arrows), default=0.0)
    lines = max([LINE_HEIGHT, *(label_height(arrow.label) for arrow in forward_arrows)])
    for component in Graph(list(vertices.values()), [edge for _, edge in edges]).C:
        layout = SugiyamaLayout(component)
        layout.xspace, layout.yspace = max(GAP_X, labels * 0.7), GAP_Y + lines - LINE_HEIGHT
        layout.route_edge = route_with_lines
        layout.init_all(roots=[vertex for vertex in component.sV if vertex.data == START] or None)
        layout.draw(6)
    forward = tuple((arrow, tuple(edge.view.points)) for arrow, edge in edges)
    passing = [point for _, points in forward for point in points]
    return Layout(boxes, forward, _sides(back, boxes, passing))


def _box(name: str, kind: str) -> Box:
    width = max(len(name) * CHAR_WIDTH, len(kind) * CHAR_WIDTH * 0.85) + 32
    return Box(max(width, MIN_BOX_WIDTH), BOX_HEIGHT if kind else BOX_HEIGHT * 0.75)


def _split_directions(drawing: Drawing) -> tuple[list[Arrow], list[Arrow]]:
    """Return the arrows that lead on, and those that lead back to a node on the way here."""
    following: dict[str, list[Arrow]] = {name: [] for name in drawing.nodes}
    back = [arrow for arrow in drawing.arrows if arrow.back]
    for arrow in drawing.arrows:
        if not arrow.back:
            following[arrow.source].append(arrow)
    on_path: dict[str, bool] = {}
    for first in drawing.nodes:
        # A stack, not recursion: the longest way may have as many nodes as the drawing.
        way = [] if first in on_path else [(first, iter(following[first]))]
        on_path.setdefault(first, True)
        while way:
            name, arrows = way[-1]
            onward = next(arrows, None)
            if onward is None:
                on_path[name] = False
                way.pop()
            elif on_path.get(onward.target):
                back.append(onward)
            elif onward.target not in on_path:
                on_path[onward.target] = True
                way.append((onward.target, iter(following[onward.target])))
    leads_back = set(back)
    return [arrow for arrow in drawing.arrows if arrow not in leads_back], back


def _sides(
    back: list[Arrow], boxes: Mapping[str, Box], passing: list[Point]
) -> tuple[tuple[Arrow, float], ...]:
    """Return how far right each arrow back goes: past what is between its ends, and each other."""
    routed: list[tuple[Arrow, float]] = []
    height = {name: box.xy[1] for name, box in boxes.items()}
    for arrow in sorted(back, key=lambda arrow: height[arrow.source] - height[arrow.target]):
        ends = sorted((boxes[arrow.source].xy[1], boxes[arrow.target].xy[1]))
        between = [box.right for box in boxes.values() if ends[0] <= box.xy[1] <= ends[1]]
        between += [x for x, y in passing if ends[0] <= y <= ends[1]]
        others = [reach + label_width(other.label) for other, reach in routed]
        routed.append((arrow, max([*between, *others]) + SIDE_GAP))
    return tuple(routed)
