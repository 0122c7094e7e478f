"""What a run's readers were told, and what must hold of it whatever happened to the process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

ENDS = {"run.finished", "run.failed", "run.cancelled"}


class Story:
    """The events of one run, in the order in which they were told."""

    def __init__(self, events: Sequence[dict[str, Any]]) -> None:
        self.events = list(events)

    def check(self) -> None:
        """Numbers without gaps, one end, and steps that begin, say, and end once."""
        assert [event["seq"] for event in self.events] == list(range(1, len(self.events) + 1))
        ends = [event["seq"] for event in self.events if event["type"] in ENDS]
        assert ends == [len(self.events)]
        attempts: dict[str, int] = {}
        ended: set[str] = set()
        nodes: dict[str, str] = {}
        for event in self.events:
            if event["type"] == "run.started" or "step" not in event:
                continue
            step = event["step"]
            assert step not in ended, f"told after its end: {event}"
            if event["type"] == "step.started":
                assert event["attempt"] == attempts.get(step, 0) + 1, event
                attempts[step] = event["attempt"]
            assert event["attempt"] == attempts.get(step), event
            assert nodes.setdefault(step, event["node"]) == event["node"], event
            if event["type"] == "step.finished":
                ended.add(step)
        if self.events[-1]["type"] == "run.finished":
            left = set(attempts) - ended - {event["step"] for event in self._of("step.failed")}
            assert not left, [nodes[step] for step in left]

    def texts(self) -> dict[str, list[str]]:
        """What each node said, step by step, without what attempts that were cut off had said."""
        texts: dict[str, list[str]] = defaultdict(list)
        for step, said in self._said().items():
            if said:
                texts[self._nodes()[step]].append(said)
        return {node: sorted(found) for node, found in texts.items()}

    def final_texts(self) -> list[str]:
        """What steps that ended had said."""
        said = self._said()
        return [said[event["step"]] for event in self._of("step.finished") if said[event["step"]]]

    def nodes(self) -> list[str]:
        """The nodes whose steps ended, sorted."""
        return sorted(event["node"] for event in self._of("step.finished"))

    def calls(self) -> list[dict[str, Any]]:
        """Where a tool was called."""
        return [event for event in self._of("tool") if event["data"]["phase"] == "called"]

    def _said(self) -> dict[str, str]:
        said: dict[str, str] = {}
        for event in self.events:
            if event["type"] == "step.started":
                said[event["step"]] = ""
            elif event["type"] == "token":
                said[event["step"]] += event["data"]["text"]
        return said

    def _nodes(self) -> dict[str, str]:
        return {event["step"]: event["node"] for event in self._of("step.started")}

    def _of(self, type_: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == type_]
