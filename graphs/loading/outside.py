"""What an agent's file names outside itself, and what of that is not there.

Owns the decisions alone: the facts are handed in as `Surroundings`. What is wrong within a file,
and whether the agents are there that it calls, is found while it is built (`build`).
Invariant: what only a run can know, such as the value of a template, is never a problem here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from config.errors import Invalid, nearest
from graphs.agent import Agent
from graphs.nodes import NODE_TYPES
from graphs.nodes.agent import AgentNodeSpec
from graphs.nodes.map import MapSpec
from graphs.nodes.retrieve import RetrieveSpec
from graphs.nodes.speech import SpeechSpec
from graphs.nodes.subgraph import SubgraphSpec
from graphs.nodes.tool import ToolSpec
from graphs.spec.agent_spec import AgentSpec, read_spec
from graphs.spec.channel_types import FILES
from graphs.spec.node_spec import NodeSpec
from graphs.spec.problems import Path, Problems
from models.catalog.spec import Task
from tools.json_schema.schema import JsonSchema
from tools.references import REFERENCE_FORMS, parse_reference
from tools.spec import Tool

LONE_NAME = re.compile(r"\s*\{\{\s*(\w+)\s*\}\}\s*")
"""A template that is the value of one channel."""
TEMPLATE_SIGNS = ("{{", "{%", "{#")
FILE_FIELDS = frozenset(("image", "images", "mask", "reference", "audio"))
"""Fields of nodes that name files, whatever the node's type."""
MAKE_INDEX = "Make it with `motet index add {name} FOLDER`, or declare it in indexes.yaml."


@dataclass(frozen=True)
class Surroundings:
    """What there is around an agent's file. What is None is not known, and nothing is missed."""

    tools: Mapping[str, Tool] | None = None
    broken_tools: Sequence[str] = ()
    """What is wrong with files of tools that could not be loaded."""
    find_model_problem: Callable[[str, Task], str | None] | None = None
    """Says why a name can never be taken for a task; None where it can."""
    indexes: Collection[str] | None = None
    list_voices: Callable[[str], list[str] | None] | None = None
    """Lists the voices of a model or role; None where only the loaded model knows them."""


def list_missing(agent: Agent, around: Surroundings) -> list[dict[str, Any]]:
    """List what an agent names that is not there, each problem as JSON, in the order of its file.

    What the agents miss that it calls is told where they are called. Of a graph in Python nothing
    is known. Blocks: it reads the file's text again.
    """
    if agent.name not in agent.sources:
        return []
    spec, problems = read_spec(agent.sources[agent.name], str(agent.path) if agent.path else None)
    _Check(spec, problems, around, agent.sources, {agent.name}).run()
    return problems.listed()


@dataclass
class _Check:
    spec: AgentSpec
    problems: Problems
    around: Surroundings
    sources: Mapping[str, str]
    checked: set[str]
    """Agents of which everything is told."""
    written: frozenset[str] = frozenset()
    """Channels that nodes write: an input's default says nothing about their value."""
    created: set[str] = field(default_factory=set)
    """Indexes that a node of this file makes."""

    def run(self) -> None:
        nodes = list(_walk(self.spec.nodes, ("nodes",)))
        self.written = frozenset(name for _, node in nodes for name in _written_names(node))
        for _, node in nodes:
            if isinstance(node, ToolSpec) and node.tool == "index" and node.arguments.get("create"):
                self.created.update(self._constants(node.arguments.get("index", "docs")))
        for name, declared in self.spec.input.items():
            if declared.type in FILES:
                self._check_file(declared.default, ("input", name, "default"))
        for path, node in nodes:
            self._check_node(node, path)

    def _check_node(self, node: NodeSpec, path: Path) -> None:
        for name in FILE_FIELDS & node.model_fields_set:
            self._check_file(getattr(node, name), (*path, name))
        node_type = NODE_TYPES[node.type]
        if node_type.model_task:
            self._check_model(getattr(node, "model", None), node_type.model_task, (*path, "model"))
        if node_type.tool:
            self._check_fields(node, node_type.tool, path)
        match node:
            case ToolSpec():
                self._check_call(node, path)
            case AgentNodeSpec():
                for number, name in enumerate(node.tools):
                    tool = self._find_tool(name, (*path, "tools", number))
                    if tool and name in node.arguments:
                        self._check_bound(tool, node.arguments[name], (*path, "arguments", name))
            case RetrieveSpec():
                self._check_indexes(node.index, (*path, "index"))
            case SpeechSpec():
                self._check_voice(node, (*path, "voice"))
            case SubgraphSpec():
                self._check_called(node.agent, (*path, "agent"))
            case MapSpec() if node.agent:
                self._check_called(node.agent, (*path, "agent"))

    def _check_file(self, value: Any, path: Path) -> None:
        """Check that a value written into the file is one that names a file."""
        if isinstance(value, list):
            for number, item in enumerate(value):
                self._check_file(item, (*path, number))
        elif value not in (None, "") and not _has_template(value):
            try:
                parse_reference(value, str(path[-1]))
            except Invalid:
                self.problems.add(path, "names no file.", REFERENCE_FORMS)

    def _check_model(self, value: Any, task: Task, path: Path) -> None:
        find = self.around.find_model_problem
        for name in self._constants(value) if find else ():
            if find and (problem := find(name, task)):
                self.problems.add(path, problem)

    def _check_voice(self, node: SpeechSpec, path: Path) -> None:
        model = node.model or "voice"
        if self.around.list_voices is None or _has_template(model):
            return
        if voices := self.around.list_voices(model):
            for voice in self._constants(node.voice):
                if voice not in voices:
                    hint = nearest(voice, voices)
                    self.problems.add(path, f"'{model}' has no voice '{voice}'.", hint)

    def _check_indexes(self, value: Any, path: Path) -> None:
        known = self.around.indexes
        if known is None:
            return
        for name in self._constants(value):
            if name not in known and name not in self.created:
                close = nearest(name, sorted(known))
                close = close if close.startswith("Did") else ""
                hint = f"{close} {MAKE_INDEX.format(name=name)}".strip()
                self.problems.add(path, f"there is no index '{name}'.", hint)

    def _find_tool(self, name: str, path: Path) -> Tool | None:
        tools = self.around.tools
        if tools is None or name in tools:
            return tools[name] if tools else None
        broken = (f"Not loaded: {problem}" for problem in self.around.broken_tools)
        hint = " ".join((nearest(name, tools), *broken))
        self.problems.add(path, f"there is no tool '{name}'.", hint)
        return None

    def _check_call(self, node: ToolSpec, path: Path) -> None:
        tool = self._find_tool(node.tool, (*path, "tool"))
        if tool is None:
            return
        self._check_arguments(tool, node.arguments, (*path, "arguments"))
        for name in tool.parameters.get("required", []):
            if name not in node.arguments:
                at = (*path, "arguments") if node.arguments else path
                self.problems.add(at, f"tool '{tool.name}' needs the argument '{name}'.")
        if _searches(tool):
            at = (*path, "arguments", "index")
            self._check_indexes(node.arguments.get("index", "docs"), at)

    def _check_bound(self, tool: Tool, arguments: Mapping[str, Any], path: Path) -> None:
        """Check arguments that a node binds, so that a model does not choose them."""
        self._check_arguments(tool, arguments, path)
        if _searches(tool) and "index" in arguments:
            self._check_indexes(arguments["index"], (*path, "index"))

    def _check_arguments(self, tool: Tool, arguments: Mapping[str, Any], path: Path) -> None:
        """Check arguments that a file gives to a tool, be they all that it needs or not."""
        properties = tool.parameters.get("properties", {})
        for name, value in arguments.items():
            at = (*path, name)
            if name in properties:
                self._check_argument(tool, name, value, at)
            elif tool.parameters.get("additionalProperties") is False:
                hint = nearest(name, properties)
                self.problems.add(at, f"tool '{tool.name}' has no argument '{name}'.", hint)

    def _check_fields(self, node: NodeSpec, tool_name: str, path: Path) -> None:
        """Check the fields of a node that are the arguments of a tool."""
        tool = (self.around.tools or {}).get(tool_name)
        properties = tool.parameters.get("properties", {}) if tool else {}
        for name in node.model_fields_set & set(properties):
            value = getattr(node, name)
            if tool and value not in (None, ""):  # both are left out of the call
                self._check_argument(tool, name, value, (*path, name))

    def _check_argument(self, tool: Tool, name: str, value: Any, path: Path) -> None:
        if _has_template(value):
            return
        shared = {"$defs": tool.parameters["$defs"]} if "$defs" in tool.parameters else {}
        schema = JsonSchema({**tool.parameters["properties"][name], **shared})
        if error := schema.find_error_here(value):
            self.problems.add(path, f"does not fit tool '{tool.name}': {error.message[:300]}.")

    def _check_called(self, name: str, path: Path) -> None:
        """Tell what a called agent misses, once for each agent."""
        if name in self.checked or name not in self.sources:
            return
        self.checked.add(name)
        spec, inner = read_spec(self.sources[name], name)
        _Check(spec, inner, self.around, self.sources, self.checked).run()
        for each in inner.listed():
            message = f"agent '{name}', line {each['line']}: {each['field']}: {each['message']}"
            self.problems.add(path, message, each["hint"])

    def _constants(self, value: Any) -> list[str]:
        """Return the texts that a field has whatever happens; none for a value of a run."""
        if isinstance(value, list):
            return [text for item in value for text in self._constants(item)]
        if not isinstance(value, str) or not value:
            return []
        if not _has_template(value):
            return [value]
        channel = LONE_NAME.fullmatch(value)
        declared = self.spec.input.get(channel[1]) if channel else None
        if declared is None or declared.type in FILES or not channel:
            return []
        if channel[1] in self.written:
            return []
        known = [*(declared.enum or []), declared.default]
        return list(dict.fromkeys(text for item in known for text in self._constants(item)))


def _searches(tool: Tool) -> bool:
    return tool.name == "search" and tool.origin == "shipped"


def _walk(nodes: Mapping[str, NodeSpec], path: Path) -> Iterator[tuple[Path, NodeSpec]]:
    """Yield every node with its path, those within a `map` among them."""
    for name, node in nodes.items():
        yield (*path, name), node
        if isinstance(node, MapSpec) and node.nodes:
            yield from _walk(node.nodes, (*path, name, "nodes"))


def _written_names(node: NodeSpec) -> Iterator[str]:
    yield from NODE_TYPES[node.type].saved_parts(node)
    if isinstance(node, MapSpec):
        yield node.as_
    if node.on_error and node.on_error.default:
        yield from node.on_error.default


def _has_template(value: Any) -> bool:
    if isinstance(value, str):
        return any(sign in value for sign in TEMPLATE_SIGNS)
    if isinstance(value, dict):
        return any(_has_template(item) for item in value.values())
    return isinstance(value, list) and any(map(_has_template, value))
