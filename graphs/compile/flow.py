"""The order of nodes: what follows what, which loops are bounded, and who waits for whom.

Owns the checks of `edges`: every target exists, every node is reached, every loop has a bound, one
branch always holds. Making LangGraph follow the flow is `router`'s and `join`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter

from config.errors import nearest
from graphs.compile.loops import Loop, Successors, read_loops
from graphs.compile.node import CompileScope, Renderer
from graphs.spec.base import END, START
from graphs.spec.branches import Branch
from graphs.spec.node_spec import NodeSpec
from graphs.spec.problems import Path
from graphs.templates.rendering import Rendering


@dataclass(frozen=True)
class Exit:
    """One way out of a node. `key` counts how often it was taken."""

    targets: tuple[str, ...]
    when: Renderer | None = None
    label: str = ""
    max_loops: int | None = None
    key: str = ""


@dataclass(frozen=True)
class Flow:
    """Every node's ways out, in the order in which they are tried.

    `gotos` are the targets that a node may name itself, with labels. `joins` are the nodes that
    wait for parallel branches, each with all the nodes that can still lead to it. `loops` are the
    bounded ways back.
    """

    exits: Mapping[str, tuple[Exit, ...]]
    gotos: Mapping[str, Mapping[str, str]]
    joins: Mapping[str, frozenset[str]] = field(default_factory=dict)
    loops: tuple[Loop, ...] = ()

    def edges(self) -> Iterable[tuple[str, str, Exit]]:
        """Yield source, target and exit of every edge, those that nodes name included."""
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
    """Read the flow of a graph.

    Unknown names, loops without a bound and nodes that nothing leads to are problems of the scope;
    the flow is then without joins.
    """
    reader = _FlowReader(nodes, edges, scope)
    flow = reader.read()
    if reader.has_unknown_target:
        return flow
    forward = _successors(flow, bounded=False)
    if not (reader.check_loops(forward) and reader.check_reached(flow)):
        return flow
    return replace(flow, joins=_find_joins(flow, forward), loops=_read_loops(flow, forward))


def choose_exit(
    exits: Sequence[Exit],
    view: Mapping[str, object],
    loops: Mapping[str, int],
    rendering: Rendering,
) -> Exit | None:
    """Return the first exit that holds and is not used up.

    `loops` counts by `Exit.key` how often each bounded exit was taken since the loop around it came
    round. Raises `Invalid`
    (`expression_failed`).
    """
    for exit_ in exits:
        if exit_.max_loops is not None and loops.get(exit_.key, 0) >= exit_.max_loops:
            continue
        if exit_.when is None or exit_.when(view, rendering):
            return exit_
    return None


@dataclass
class _FlowReader:
    nodes: Mapping[str, NodeSpec]
    edges: Mapping[str, Sequence[Branch]] | None
    scope: CompileScope
    has_unknown_target: bool = False

    def read(self) -> Flow:
        names = list(self.nodes)
        exits: dict[str, tuple[Exit, ...]] = {START: (Exit((names[0],)),)}
        for name, following in zip(names, [*names[1:], END], strict=True):
            after = following if self.edges is None else END
            exits[name] = (
                (Exit((after,)),) if self.nodes[name].follows_edges else self._own_exits(name)
            )
        for name, branches in (self.edges or {}).items():
            if name in self.nodes and not self.nodes[name].follows_edges:
                continue
            if name == START or self._check_node(name, ("edges", name), [START]):
                exits[name] = self._exits(name, branches, ("edges", name))
        gotos = {name: targets for name in names if (targets := self._gotos(name))}
        return Flow(exits, gotos)

    def check_loops(self, forward: Successors) -> bool:
        """Report a loop without a bound. `forward` has no edges of bounded loops."""
        try:
            TopologicalSorter(forward).prepare()
        except CycleError as error:
            cycle: list[str] = error.args[1][:0:-1]
            # Begin at the node that stands first in the file, as its author thinks of the loop.
            first = min(range(len(cycle)), key=lambda i: list(self.nodes).index(cycle[i]))
            loop = [*cycle[first:], *cycle[:first]]
            section = "edges" if loop[-1] in (self.edges or {}) else "nodes"
            self.scope.problem(
                (section, loop[-1]),
                f"the loop {' → '.join([*loop, loop[0]])} has no bound.",
                "Give the branch that leads back `max_loops`, and an `else` for what comes after.",
            )
            return False
        return True

    def check_reached(self, flow: Flow) -> bool:
        """Report every node that no way from the start leads to."""
        reached = _reach(START, _successors(flow, bounded=True))
        unreached = [name for name in self.nodes if name not in reached]
        for name in unreached:
            self.scope.problem(("nodes", name), f"no edge leads to '{name}': it would never run.")
        return not unreached

    def _own_exits(self, name: str) -> tuple[Exit, ...]:
        if self.edges and name in self.edges:
            message = f"'{name}' is a route: it says itself what follows."
            self.scope.problem(("edges", name), message, "Remove this entry.")
        branches = self.nodes[name].own_exits()
        return self._exits(name, branches, ("nodes", name, "branches")) if branches else ()

    def _gotos(self, name: str) -> dict[str, str]:
        spec = self.nodes[name]
        targets: dict[str, str] = {}
        for target in spec.own_targets():
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
        certain = [i for i, b in enumerate(branches) if b.when is None and b.max_loops is None]
        if not certain:
            message = f"after '{name}' it may be that no branch holds."
            self.scope.problem(path, message, "Add `- else: end`.")
        elif certain[0] != len(branches) - 1:
            self.scope.problem((*path, certain[0] + 1), "this branch is never reached.")

    def _check_node(self, name: str, path: Path, besides: list[str]) -> bool:
        if name in self.nodes or name in besides:
            return True
        self.has_unknown_target = True
        hint = nearest(name, [*self.nodes, *besides])
        self.scope.problem(path, f"there is no node '{name}'.", hint)
        return False


def _label(branch: Branch) -> str:
    bound = f"(≤ {branch.max_loops}×)" if branch.max_loops else ""
    condition = "" if branch.when is None else str(branch.when).strip()
    inner = condition[2:-2]
    # Braces around the whole say nothing; those of an object in it do.
    if condition.startswith("{{") and condition.endswith("}}") and "}}" not in inner:
        condition = inner.strip()
    return "else" if branch.otherwise else f"{condition} {bound}".strip()


def _successors(flow: Flow, *, bounded: bool) -> dict[str, frozenset[str]]:
    """Return what can follow each node; with `bounded`, by edges of bounded loops too."""
    successors: dict[str, set[str]] = {node: set() for node in flow.exits}
    for source, target, exit_ in flow.edges():
        if target != END and (bounded or exit_.max_loops is None):
            successors[source].add(target)
    return {node: frozenset(targets) for node, targets in successors.items()}


def _read_loops(flow: Flow, forward: Successors) -> tuple[Loop, ...]:
    bounded = (
        (node, exit_.targets, exit_.max_loops, exit_.key)
        for node, exits in flow.exits.items()
        for exit_ in exits
        if exit_.max_loops is not None
    )
    return tuple(read_loops(bounded, forward))


def _reach(node: str, successors: Successors) -> set[str]:
    """Return the node and everything that can follow it."""
    reached, pending = {node}, [node]
    while pending:
        for target in successors[pending.pop()] - reached:
            reached.add(target)
            pending.append(target)
    return reached


def _find_joins(flow: Flow, forward: Successors) -> dict[str, frozenset[str]]:
    """Find the nodes to which two branches of one fork lead, with everything that leads to them.

    A node with one predecessor is none, even behind a join: it runs once for each run of that.
    """
    # Sets of nodes are the bits of integers, so that a dense graph takes one operation per edge.
    names = list(forward)
    bits = {name: 1 << number for number, name in enumerate(names)}
    order = list(TopologicalSorter(forward).static_order())
    below, above = dict(bits), dict(bits)
    for node in order:
        for target in forward[node]:
            below[node] |= below[target]
    entered = 0
    entered_twice = 0
    for node in reversed(order):
        for target in forward[node]:
            above[target] |= above[node]
            entered_twice |= entered & bits[target]
            entered |= bits[target]
    joins = _below_forks(flow, below) & entered_twice
    regions = {}
    for node in names:
        if joins & bits[node]:
            region = {other for other in names if above[node] & bits[other]}
            regions[node] = frozenset(region - {node, START})
    return regions


def _below_forks(flow: Flow, below: Mapping[str, int]) -> int:
    """Return the nodes, as bits, to which two branches of one fork lead."""
    shared = 0
    for exits in flow.exits.values():
        for exit_ in exits:
            reached = 0
            for target in exit_.targets:
                if target != END:
                    shared |= reached & below[target]
                    reached |= below[target]
    return shared
