"""Pictures of graphs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from config.settings import Settings
from graphs.agent import Agent
from graphs.catalog import Catalog
from graphs.drawing.diagram import Arrow, Drawing
from graphs.drawing.labels import label_width
from graphs.drawing.layout import lay_out
from graphs.spec.base import MAX_NODES
from tests.support.graph_runs import agent_of_yaml

BRANCHED = """
input: {n: integer}
nodes:
  a: {type: set, values: {x: 1}}
  b: {type: set, values: {x: 2}}
  c: {type: set, values: {x: 3}}
edges:
  a:
    - {when: 'n > 3 and "<b>" != n', to: b}
    - {to: a, max_loops: 2}
    - else: [b, c]
  b: c
output: [x]
"""


def test_mermaid_names_nodes_types_and_conditions() -> None:
    text = agent_of_yaml(BRANCHED).mermaid()
    assert "a(a<hr/><small><em>type = set</em></small>)" in text
    assert "__start__ --> a;" in text
    assert "b --> c;" in text
    assert "c --> __end__;" in text
    assert "else" in text
    assert "n #62; 3 and #34;#60;b#62;#34; != n" in text
    assert "(≤ 2×)" not in text
    assert "#40;≤ 2×#41;" in text


def test_the_svg_is_well_formed_and_names_every_node_and_condition() -> None:
    root = ElementTree.fromstring(agent_of_yaml(BRANCHED).picture_svg())
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert {"start", "a", "b", "c", "end", "set"} <= set(texts)
    assert 'n > 3 and "<b>" != n · else' in texts
    assert "(≤ 2×)" in texts
    paths = [element for element in root.iter() if element.tag.endswith("path")]
    assert len(paths) == 1 + len(agent_of_yaml(BRANCHED).drawing().arrows)


@pytest.mark.parametrize("name", ["ask", "ask_deep", "chat", "review", "digest"])
def test_boxes_of_shipped_agents_do_not_overlap_and_arrows_lead_down(
    name: str, tmp_path: Path
) -> None:
    agent = Catalog(Settings(agents=tmp_path)).get(name)
    layout = lay_out(agent.drawing())
    boxes = list(layout.boxes.values())
    for i, one in enumerate(boxes):
        for other in boxes[i + 1 :]:
            apart_x = abs(one.xy[0] - other.xy[0]) >= (one.w + other.w) / 2
            apart_y = abs(one.xy[1] - other.xy[1]) >= (one.h + other.h) / 2
            assert apart_x or apart_y
    for arrow, points in layout.forward:
        assert layout.boxes[arrow.source].xy[1] < layout.boxes[arrow.target].xy[1]
        assert points[0][1] <= points[-1][1]
    ElementTree.fromstring(agent.picture_svg())


def dense(count: int, span: int, loops: int = 0) -> Drawing:
    """Draw nodes of which each leads to the `span` next ones, and the last `loops` back."""
    names = [f"n{number}" for number in range(count)]
    arrows = [Arrow("start", names[0]), Arrow(names[-1], "end")]
    for number, name in enumerate(names):
        arrows += [Arrow(name, target) for target in names[number + 1 : number + 1 + span]]
    arrows += [Arrow(name, names[0], "again", True, True) for name in names[count - loops :]]
    return Drawing({"start": "", **dict.fromkeys(names, "set"), "end": ""}, tuple(arrows))


@pytest.mark.parametrize(
    "drawing", [dense(150, 150), dense(480, 20), dense(450, 3, 440)], ids=["all", "long", "loops"]
)
def test_a_dense_graph_is_laid_out_in_rows_with_straight_arrows(drawing: Drawing) -> None:
    layout = lay_out(drawing)

    assert all(len(points) == 2 for _, points in layout.forward)
    assert len(layout.forward) + len(layout.back) == len(drawing.arrows)
    for arrow, _ in layout.forward:
        assert layout.boxes[arrow.source].xy[1] < layout.boxes[arrow.target].xy[1]


def test_boxes_of_a_row_do_not_overlap() -> None:
    left, right = [f"a{n}" for n in range(40)], [f"b{n}" for n in range(40)]
    arrows = tuple(Arrow(one, other) for one in left for other in right)

    boxes = lay_out(Drawing(dict.fromkeys((*left, *right), "set"), arrows)).boxes

    for row in (left, right):
        for one, other in pairwise(row):
            assert boxes[one].right < boxes[other].xy[0] - boxes[other].w / 2


def test_a_way_through_as_many_nodes_as_a_file_may_have_is_drawn() -> None:
    assert len(lay_out(dense(MAX_NODES, 1)).forward) == MAX_NODES + 1


CONDITIONS = [
    "x == {}",
    "{'a': 1}[x] == {'b': {}}",
    "{{ x == {} }}",
    "(text | wordcount) < want and not (draft is none) or title in ['one', 'two', 'three']",
    "x == '汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字'",
    "x ==\\n  'a'\\n  or x == 'b'",
]


def branching(condition: str) -> Agent:
    return agent_of_yaml(
        "input: {x: any, text: any, want: any, draft: any, title: any, n: any}\n"
        "nodes:\n  a: {type: set, values: {y: 1}}\n  b: {type: set, values: {y: 2}}\n"
        f'edges:\n  a:\n    - {{when: "{condition}", to: b}}\n    - else: end\noutput: y\n'
    )


@pytest.mark.parametrize("condition", CONDITIONS)
def test_condition_is_drawn_whole_and_within_the_picture(condition: str) -> None:
    root = ElementTree.fromstring(branching(condition).picture_svg())

    left, _, width, _ = map(float, root.attrib["viewBox"].split())
    labels = [each for each in root.iter() if each.get("class") == "label"]
    for label in labels:
        half = label_width(label.text or "") / 2
        assert left <= float(label.attrib["x"]) - half
        assert float(label.attrib["x"]) + half <= left + width
    words = condition.replace("\\n", " ").removeprefix("{{").removesuffix(" }}").split()
    assert [word for each in labels for word in (each.text or "").split()][: len(words)] == words


@pytest.mark.parametrize("condition", CONDITIONS)
def test_condition_is_one_line_of_mermaid(condition: str) -> None:
    lines = branching(condition).mermaid().splitlines()
    assert len([line for line in lines if line.strip().startswith("a -.")]) == 2
