"""Pictures of graphs."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from config.settings import Settings
from graphs.catalog import Catalog
from graphs.drawing.layout import lay_out
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
