"""Where a drawing's boxes and arrows go: layers from top to bottom.

The layers are the library grandalf's (Sugiyama's method). Arrows that close a loop are ours: they
would turn the layers upside down, so they go round on the right. Lengths are in SVG's units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphs.drawing.diagram import Arrow, Drawing
from graphs.spec.base import START

Point = tuple[float, float]

CHAR_WIDTH = 8.4
"""Of a letter in a box's name, at the 14 px of `svg`'s style."""
BOX_HEIGHT, MIN_BOX_WIDTH = 48.0, 104.0
GAP_X, GAP_Y = 44.0, 54.0
SIDE_GAP = 34.0
"""Between an arrow that leads back and what it goes round."""


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
        right = [reach + label_width(arrow.label) for arrow, reach in self.back]
        boxes = self.boxes.values()
        return (
            min([box.xy[0] - box.w / 2 for box in boxes] + [x for x, _ in points]),
            min(box.xy[1] - box.h / 2 for box in boxes),
            max([box.right for box in boxes] + [x for x, _ in points] + right),
            max(box.xy[1] + box.h / 2 for box in boxes),
        )


def lay_out(drawing: Drawing) -> Layout:
    """Lay out a drawing. Takes milliseconds for tens of nodes; pure CPU."""
    from grandalf.graphs import Edge, Graph, Vertex  # 0.1 s that only pictures need
    from grandalf.layouts import SugiyamaLayout
    from grandalf.routing import route_with_lines

    boxes = {name: _box(name, kind) for name, kind in drawing.nodes.items()}
    vertices = {name: Vertex(name) for name in drawing.nodes}
    for name, vertex in vertices.items():
        vertex.view = boxes[name]
    forward_arrows, back = _split_directions(drawing)
    edges = [
        (arrow, Edge(vertices[arrow.source], vertices[arrow.target])) for arrow in forward_arrows
    ]
    for _, edge in edges:
        edge.view = _Path()
    labels = max((label_width(arrow.label) for arrow in forward_arrows), default=0.0)
    for component in Graph(list(vertices.values()), [edge for _, edge in edges]).C:
        layout = SugiyamaLayout(component)
        layout.xspace, layout.yspace = max(GAP_X, labels * 0.7), GAP_Y
        layout.route_edge = route_with_lines
        layout.init_all(roots=[vertex for vertex in component.sV if vertex.data == START] or None)
        layout.draw(6)
    forward = tuple((arrow, tuple(edge.view.points)) for arrow, edge in edges)
    passing = [point for _, points in forward for point in points]
    return Layout(boxes, forward, _sides(back, boxes, passing))


def label_width(label: str) -> float:
    """Estimate how wide a label is drawn: its letters are smaller than those of names."""
    return len(label) * CHAR_WIDTH * 0.8


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

    def visit(name: str) -> None:
        on_path[name] = True
        for arrow in following[name]:
            if on_path.get(arrow.target):
                back.append(arrow)
            elif arrow.target not in on_path:
                visit(arrow.target)
        on_path[name] = False

    for name in drawing.nodes:
        if name not in on_path:
            visit(name)
    return [arrow for arrow in drawing.arrows if arrow not in back], back


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
