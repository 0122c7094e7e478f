"""The calls of tools in a piece of a model's text, in the forms that open models use.

Owns what counts as a call. A name must be that of a tool at hand, unless a mark says that a call
follows, or the value has exactly the two fields of one. Where such a piece ends is found by
`call_filter`.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.output.values import BracketedValue, find_values, load_value

NAME_KEYS = ("name", "tool_name", "function_name", "function", "tool", "action")
ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "tool_input", "action_input")
WRAPPER_KEYS = ("tool_calls", "function_calls", "tool_call", "function_call", "calls")
OTHER_KEYS = ("type", "id", "tool_call_id", "index")
KEYS = frozenset((*NAME_KEYS, *ARGUMENT_KEYS, *WRAPPER_KEYS, *OTHER_KEYS))
"""What the first field of a call may be named, beside the tools."""
_EXACT = {"name", "arguments"}
_WORD = r"[A-Za-z_][\w-]*"
_NAME = re.compile(rf"(?:functions\.)?({_WORD})(?::\d+)?")
_QUOTED_NAME = re.compile(rf"""["'](?:{"|".join(NAME_KEYS)})["']\s*:\s*["']({_WORD})["']""")
_FUNCTION = re.compile(rf"<function=({_WORD})>(.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER = re.compile(rf"<parameter=({_WORD})>\n?(.*?)\n?</parameter>", re.DOTALL)
_KEY_VALUE = re.compile(r"<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>", re.DOTALL)
_BETWEEN_MARKS = re.compile(r"\[(?:TOOL_CALLS|ARGS)\]")
"""Marks of Mistral's, which are no values."""
_FENCES = re.compile(r"\A```[\w-]*|```\Z")
_MAX_PYTHON_CHARS = 20_000

Tools = Mapping[str, frozenset[str]]
"""The tools that a model may call, with the names of their arguments."""


@dataclass(frozen=True, slots=True)
class ParsedToolCall:
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnreadableCall:
    """What is meant as a call of a tool and cannot be read."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class ParsedCalls:
    calls: Sequence[ParsedToolCall] = ()
    unreadable: Sequence[UnreadableCall] = ()

    def __bool__(self) -> bool:
        return bool(self.calls or self.unreadable)


def tools_of(declarations: Sequence[Mapping[str, Any]] | None) -> Tools:
    """Return the tools of declarations in OpenAI's form, as they are bound to chat models."""
    functions = [each["function"] for each in declarations or () if "function" in each]
    return {
        str(each["name"]): frozenset((each.get("parameters") or {}).get("properties") or ())
        for each in functions
    }


def parse_calls(text: str, tools: Tools, *, marked: bool, cut: bool = False) -> ParsedCalls:
    """Read the calls in a text that is nothing else.

    `marked`: a mark says that they are calls. `cut`: the text breaks off, so what is incomplete in
    it is no call.
    """
    text = _BETWEEN_MARKS.sub(" ", text)
    if marked and (in_tags := [*_parse_functions(text), *_parse_key_values(text, tools)]):
        return ParsedCalls(in_tags)
    calls: list[ParsedToolCall] = []
    unreadable: list[UnreadableCall] = []
    before = 0
    for value in find_values(text, cut=cut):
        named = _last_name(text[before : value.start], tools) if marked else None
        if read := _calls_of(value, text, tools, named, marked):
            calls += read
        elif name := named or _quoted_name(text[value.start : value.end], tools):
            unreadable.append(UnreadableCall(name, text[value.start : value.end]))
        before = value.end
    if not calls and (calls := _parse_python(_FENCES.sub("", text), tools)):
        return ParsedCalls(calls)
    return ParsedCalls(calls, unreadable)


def _calls_of(
    value: BracketedValue, text: str, tools: Tools, named: str | None, marked: bool
) -> list[ParsedToolCall]:
    read = list(_read_value(value.value, tools, marked))
    if not read and isinstance(value.value, dict):
        name = named or (_tool_of(value.value, tools) if marked else None)
        return [ParsedToolCall(name, value.value)] if name else []
    if not read and value.value is None:
        return _parse_python(text[value.start : value.end], tools)
    return read


def _tool_of(arguments: Mapping[str, Any], tools: Tools) -> str | None:
    """Return the one tool that these can be the arguments of."""
    fitting = [name for name, known in tools.items() if arguments and arguments.keys() <= known]
    return fitting[0] if len(fitting) == 1 else None


def _read_value(value: Any, tools: Tools, marked: bool) -> Iterator[ParsedToolCall]:
    if isinstance(value, list):
        for item in value:
            yield from _read_value(item, tools, marked)
    if not isinstance(value, dict):
        return
    for key in (*WRAPPER_KEYS, "function"):
        if isinstance(value.get(key), dict | list):
            yield from _read_value(value[key], tools, marked)
            return
    if call := _read_call(value, tools, marked):
        yield call


def _read_call(value: Mapping[str, Any], tools: Tools, marked: bool) -> ParsedToolCall | None:
    name_key = next((key for key in NAME_KEYS if isinstance(value.get(key), str)), None)
    if name_key is None:
        return _read_by_key(value, tools)
    match = _NAME.fullmatch(value[name_key].strip())
    name = match[1] if match else ""
    if name not in tools and not (name and (marked or set(value) == _EXACT)):
        return None
    argument_key = next((key for key in ARGUMENT_KEYS if key in value), None)
    if argument_key is None:
        rest = {key: item for key, item in value.items() if key not in (name_key, *OTHER_KEYS)}
        return ParsedToolCall(name, rest) if set(rest) <= tools.get(name, frozenset()) else None
    arguments = value[argument_key]
    if isinstance(arguments, str):
        arguments = load_value(arguments) if arguments.strip() else {}
    arguments = {} if arguments is None and value[argument_key] is None else arguments
    return ParsedToolCall(name, arguments) if isinstance(arguments, dict) else None


def _read_by_key(value: Mapping[str, Any], tools: Tools) -> ParsedToolCall | None:
    """Read a call whose one field is named as the tool."""
    if len(value) == 1:
        [(name, arguments)] = value.items()
        if name in tools and isinstance(arguments, dict):
            return ParsedToolCall(name, arguments)
    return None


def _last_name(text: str, tools: Tools) -> str | None:
    """Return the tool that is named last in what stands before a value."""
    names = [name for name in _NAME.findall(text) if name in tools]
    return names[-1] if names else None


def _quoted_name(text: str, tools: Tools) -> str | None:
    match = _QUOTED_NAME.search(text)
    return match[1] if match and match[1] in tools else None


def _parse_functions(text: str) -> Iterator[ParsedToolCall]:
    for name, body in _FUNCTION.findall(text):
        if parameters := dict(_PARAMETER.findall(body)):
            yield ParsedToolCall(name, parameters)
        elif not body.strip():
            yield ParsedToolCall(name)


def _parse_key_values(text: str, tools: Tools) -> Iterator[ParsedToolCall]:
    pairs = dict(_KEY_VALUE.findall(text))
    name = _last_name(text.partition("<arg_key>")[0], tools)
    if pairs and name:
        yield ParsedToolCall(name, pairs)


def _parse_python(text: str, tools: Tools) -> list[ParsedToolCall]:
    """Read calls as Python writes them: of tools at hand, each argument a named constant."""
    if len(text) > _MAX_PYTHON_CHARS or "(" not in text:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that Python does not know
            module = ast.parse(text.strip())
            values = [each.value for each in module.body if isinstance(each, ast.Expr)]
            calls = [_read_python(node, tools) for value in values for node in _call_nodes(value)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return calls if len(values) == len(module.body) else []


def _call_nodes(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.List | ast.Tuple):
        for item in node.elts:
            yield from _call_nodes(item)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
        yield from node.args
    else:
        yield node


def _read_python(node: ast.expr, tools: Tools) -> ParsedToolCall:
    """Read one call. Raises `ValueError` for anything else."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.args:
        raise ValueError("not a call with named arguments")
    if node.func.id not in tools:
        raise ValueError("not a tool at hand")
    arguments = {each.arg or "": ast.literal_eval(each.value) for each in node.keywords}
    return ParsedToolCall(node.func.id, arguments)
