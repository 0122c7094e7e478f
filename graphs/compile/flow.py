"""The order of nodes: what follows what, which loops are bounded, and who waits for whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from config.errors import nearest
from graphs.compile.node import CompileScope, Rendered
from graphs.spec.parts import END, START, Branch, NodeSpec
from graphs.spec.problems import Path
from graphs.templates.sandbox import Render

Successors = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Exit:
    """One way out of a node. `key` counts how often it was taken."""

    targets: tuple[str, ...]
    when: Rendered | None = None
    label: str = ""
    max_loops: int | None = None
    key: str = ""


@dataclass(frozen=True)
class Flow:
    """Every node's ways out, in the order in which they are tried.

    `gotos` are the targets that a node may name itself, with labels. `joins` are the nodes that
    wait for parallel branches, each with all the nodes that can still lead to it.
    """

    exits: Mapping[str, tuple[Exit, ...]]
    gotos: Mapping[str, Mapping[str, str]]
    joins: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def loops(self) -> int:
        """How many loops a run can make in all."""
        return sum(exit_.max_loops or 0 for exits in self.exits.values() for exit_ in exits)

    def edges(self) -> Iterable[tuple[str, str, Exit]]:
        """Every way from one node to another, those that nodes name themselves included."""
        for node, exits in self.exits.items():
            for exit_ in exits:
                for target in exit_.targets:
                    yield node, target, exit_
        for node, targets in self.gotos.items():
            for target, label in targets.items():
                yield node, target, Exit((target,), label=label)


def read_flow(
    nodes: Mapping[str, NodeSpec], edges: Mapping[str, Sequence[Branch]] | None, scope: CompileScope
) -> Flow:
    """The flow of a graph. Unknown names, loops without a bound and lost nodes are problems."""
    reader = _Reader(nodes, edges, scope)
    flow = reader.read()
    if reader.lost:
        return flow
    forward = _successors(flow, bounded=False)
    if not (reader.loops_bounded(forward) and reader.all_reached(flow)):
        return flow
    return Flow(flow.exits, flow.gotos, _joins(flow, forward))


def choose(
    exits: Sequence[Exit], view: Mapping[str, object], taken: Mapping[str, int]
) -> Exit | None:
    """The first exit that holds and is not used up."""
    for exit_ in exits:
        if exit_.max_loops is not None and taken.get(exit_.key, 0) >= exit_.max_loops:
            continue
        if exit_.when is None or exit_.when(view, Render()):
            return exit_
    return None


@dataclass
class _Reader:
    nodes: Mapping[str, NodeSpec]
    edges: Mapping[str, Sequence[Branch]] | None
    scope: CompileScope
    lost: bool = False

    def read(self) -> Flow:
        names = list(self.nodes)
        exits: dict[str, tuple[Exit, ...]] = {START: (Exit((names[0],)),)}
        for name, following in zip(names, [*names[1:], END], strict=True):
            after = following if self.edges is None else END
            exits[name] = (Exit((after,)),) if self.nodes[name].goes_on else self._own(name)
        for name, branches in (self.edges or {}).items():
            if name in self.nodes and not self.nodes[name].goes_on:
                continue
            if name == START or self._check_node(name, ("edges", name), [START]):
                exits[name] = self._exits(name, branches, ("edges", name))
        gotos = {name: found for name in names if (found := self._gotos(name))}
        return Flow(exits, gotos)

    def loops_bounded(self, forward: Successors) -> bool:
        try:
            TopologicalSorter(forward).prepare()
        except CycleError as error:
            cycle: list[str] = error.args[1][:0:-1]
            # Begin at the node that stands first in the file, as its author thinks of the loop.
            first = min(range(len(cycle)), key=lambda i: list(self.nodes).index(cycle[i]))
            loop = [*cycle[first:], *cycle[:first]]
            named = "edges" if loop[-1] in (self.edges or {}) else "nodes"
            self.scope.problem(
                (named, loop[-1]),
                f"the loop {' → '.join([*loop, loop[0]])} has no bound.",
                "Give the branch that leads back `max_loops`, and an `else` for what comes after.",
            )
            return False
        return True

    def all_reached(self, flow: Flow) -> bool:
        reached = _reach(START, _successors(flow, bounded=True))
        lost = [name for name in self.nodes if name not in reached]
        for name in lost:
            self.scope.problem(("nodes", name), f"no edge leads to '{name}': it would never run.")
        return not lost

    def _own(self, name: str) -> tuple[Exit, ...]:
        if self.edges and name in self.edges:
            message = f"'{name}' is a route: it says itself what follows."
            self.scope.problem(("edges", name), message, "Remove this entry.")
        own = self.nodes[name].branches()
        return self._exits(name, own, ("nodes", name, "branches")) if own else ()

    def _gotos(self, name: str) -> dict[str, str]:
        spec = self.nodes[name]
        targets: dict[str, str] = {}
        for target in spec.choices_to():
            self._check_node(target, ("nodes", name, "choices", target), [END])
            targets[target] = "chosen"
        if spec.on_error and spec.on_error.goto:
            self._check_node(spec.on_error.goto, ("nodes", name, "on_error", "goto"), [END])
            targets[spec.on_error.goto] = "on error"
        return targets

    def _exits(self, name: str, branches: Sequence[Branch], path: Path) -> tuple[Exit, ...]:
        exits = []
        for number, branch in enumerate(branches):
            for target in branch.targets:
                self._check_node(target, (*path, number), [END])
            when = None
            if branch.when is not None:
                when = self.scope.condition((*path, number, "when"), branch.when)
            label = "" if len(branches) == 1 and branch.when is None else _label(branch)
            key = f"{name}.{number}"
            exits.append(Exit(branch.targets, when, label, branch.max_loops, key))
        self._check_complete(name, branches, path)
        return tuple(exits)

    def _check_complete(self, name: str, branches: Sequence[Branch], path: Path) -> None:
        sure = [i for i, b in enumerate(branches) if b.when is None and b.max_loops is None]
        if not sure:
            message = f"after '{name}' it may be that no branch holds."
            self.scope.problem(path, message, "Add `- else: end`.")
        elif sure[0] != len(branches) - 1:
            self.scope.problem((*path, sure[0] + 1), "this branch is never reached.")

    def _check_node(self, name: str, path: Path, also: list[str]) -> bool:
        if name in self.nodes or name in also:
            return True
        self.lost = True
        self.scope.problem(path, f"there is no node '{name}'.", nearest(name, [*self.nodes, *also]))
        return False


def _label(branch: Branch) -> str:
    bound = f"(≤ {branch.max_loops}×)" if branch.max_loops else ""
    condition = "" if branch.when is None else str(branch.when).strip().strip("{}").strip()
    return "else" if branch.otherwise else f"{condition} {bound}".strip()


def _successors(flow: Flow, *, bounded: bool) -> dict[str, frozenset[str]]:
    """What can follow each node; without the edges of bounded loops it must not be a cycle."""
    found: dict[str, set[str]] = {node: set() for node in flow.exits}
    for source, target, exit_ in flow.edges():
        if target != END and (bounded or exit_.max_loops is None):
            found[source].add(target)
    return {node: frozenset(targets) for node, targets in found.items()}


def _reach(node: str, successors: Successors) -> set[str]:
    """The node and everything that can follow it."""
    reached, open_ = {node}, [node]
    while open_:
        for target in successors[open_.pop()] - reached:
            reached.add(target)
            open_.append(target)
    return reached


def _joins(flow: Flow, forward: Successors) -> dict[str, frozenset[str]]:
    """Nodes to which two branches of one fork lead, with everything that leads to them."""
    joins: set[str] = set()
    for exits in flow.exits.values():
        for exit_ in exits:
            reached = [_reach(target, forward) for target in exit_.targets if target != END]
            for i, one in enumerate(reached):
                joins |= set().union(*(one & other for other in reached[i + 1 :]))
    regions = {}
    for node in joins:
        if sum(node in targets for targets in forward.values()) > 1:
            region = {other for other in forward if node in _reach(other, forward)}
            regions[node] = frozenset(region - {node, START})
    return regions
