"""Graphs written in Python: modules with `build() -> StateGraph` in the folder of own agents.

Owns importing them. The files run in the service, so one that somebody else can change is refused.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from langgraph.graph import StateGraph

from config.errors import Invalid, MotetError
from config.files import read_text
from config.trusted_files import check_trusted
from graphs.agent import Agent
from graphs.compile.user_nodes import guard_nodes
from graphs.interface import SchemaInterface
from graphs.loading.yaml_files import list_files
from graphs.spec.base import AGENT_NAME
from tools.user_code.guard import describe
from tools.user_code.importing import import_in_time
from tools.user_code.threads import UserThreads

RECURSION_LIMIT = 100
"""LangGraph's bound on supersteps, unless `build.recursion_limit` is another."""


def read_python_agents(
    folder: Path, before: Mapping[str, Agent], threads: UserThreads
) -> tuple[dict[str, Agent], dict[str, MotetError]]:
    """Read the agents of every `*.py` in a folder, and by file what is wrong with others.

    An unchanged file keeps its agent of `before`; so does one that is wrong now. Files whose name
    begins with an underscore are left alone.
    """
    agents: dict[str, Agent] = {}
    problems: dict[str, MotetError] = {}
    for file in _list_files(folder):
        if file.name.startswith(("_", ".")):
            continue
        known = before.get(file.stem)
        if known and known.path != file:
            known = None
        try:
            same = known is not None and known.version == _digest(read_text(file))
            agents[file.stem] = known if known and same else read_python_agent(file, threads)
        except (MotetError, OSError, UnicodeDecodeError) as error:
            problems[str(file)] = (
                error if isinstance(error, MotetError) else _wrap_error(file, error)
            )
            if known:
                agents[file.stem] = known
    return agents, problems


def _list_files(folder: Path) -> list[Path]:
    try:
        return [Path(each.path) for each in list_files(folder) if each.name.endswith(".py")]
    except OSError:  # reading the YAML beside them has told it
        return []


def read_python_agent(file: Path, threads: UserThreads | None = None) -> Agent:
    """Import a module with `build() -> StateGraph`; its docstring is the agent's description.

    Raises `Invalid` (`invalid_agent`) naming the file and line, and (`untrusted_file`) where
    somebody else can change it.
    """
    check_trusted(file)
    try:
        text = read_text(file)
    except (OSError, UnicodeDecodeError) as error:
        raise _wrap_error(file, error) from error
    return _agent_of_module(file, text, f"motet_agent_{file.stem}", threads)


def revive_python_agent(file: Path, text: str, threads: UserThreads | None = None) -> Agent:
    """Make the agent of a text that `file`, which may be gone or another now, once held.

    Raises `Invalid` (`invalid_agent`) naming the file and line.
    """
    return _agent_of_module(file, text, f"motet_agent_{file.stem}_{_digest(text)}", threads)


def _agent_of_module(file: Path, text: str, module_name: str, threads: UserThreads | None) -> Agent:
    module = _import(file, text, module_name)
    description = inspect.getdoc(module) or ""
    return python_agent(file.stem, module.build, file, description, text, threads)


def python_agent(
    name: str,
    build: Callable[[], StateGraph[Any, Any, Any, Any]],
    file: Path | None = None,
    description: str = "",
    module_text: str | None = None,
    threads: UserThreads | None = None,
) -> Agent:
    """Make the agent of a function that builds a graph. Raises `Invalid` (`invalid_agent`).

    `module_text` is that of the module that it stands in, from which it can be made again. Plain
    functions run in `threads`.
    """
    if not AGENT_NAME.fullmatch(name):
        raise _invalid(file, f"'{name}' cannot name an agent: use a-z, 0-9, '-' and '_'.")
    builder, interface = _call_build(name, build, file, threads or UserThreads())
    text = inspect.getsource(build) if module_text is None else module_text
    return Agent(
        name=name,
        version=_digest(text),
        description=inspect.cleandoc(description or build.__doc__ or ""),
        origin="python",
        path=file,
        sources={},
        modules={} if module_text is None else {name: module_text},
        builder=builder,
        interface=interface,
        recursion_limit=_read_limit(build, file),
    )


def _call_build(
    name: str,
    build: Callable[[], StateGraph[Any, Any, Any, Any]],
    file: Path | None,
    threads: UserThreads,
) -> tuple[StateGraph[Any, Any, Any, Any], SchemaInterface]:
    try:
        builder = import_in_time(f"{file} build()", build) if file else build()
        if not isinstance(builder, StateGraph):
            raise _invalid(file, "build() must return a StateGraph that is not compiled yet.")
        guard_nodes(builder, name, threads)
        compiled = builder.compile()
        schemas = compiled.get_input_jsonschema(), compiled.get_output_jsonschema()
        interface = SchemaInterface(name, *schemas)
        if problem := interface.problem():
            raise _invalid(file, f"the schema of its input cannot be used: {problem}")
        return builder, interface
    except MotetError:
        raise
    except BaseException as error:
        raise _wrap_error(file, error) from error


def _read_limit(build: Callable[..., Any], file: Path | None) -> int:
    limit = getattr(build, "recursion_limit", RECURSION_LIMIT)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise _invalid(file, f"build.recursion_limit is {limit!r}: give a number of steps.")
    return limit


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _import(file: Path, text: str, name: str) -> ModuleType:
    # Under a name of its own, so that `chat.py` in the folder hides no library, and from the text
    # that was read, so that the version is that of the code even while the file is being saved.
    module = ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module  # typing looks up annotations of the state there
    try:
        code = compile(text, str(file), "exec", dont_inherit=True)
        import_in_time(f"{file} {_digest(text)}", lambda: exec(code, module.__dict__))
    except BaseException as error:
        sys.modules.pop(name, None)
        raise _wrap_error(file, error) from error
    if not callable(getattr(module, "build", None)):
        raise _invalid(file, "has no function build() that returns a StateGraph.")
    return module


def _wrap_error(file: Path | None, error: BaseException) -> Invalid:
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if file and frame.filename == str(file)
    ]
    line = error.lineno if isinstance(error, SyntaxError) else (lines[-1] if lines else None)
    return _invalid(file, describe(error), line)


def _invalid(file: Path | None, message: str, line: int | None = None) -> Invalid:
    position = f"{file}:{line}" if file and line else str(file or "graph")
    details = {"file": str(file) if file else None, "line": line}
    return Invalid(
        f"{position}: {message}",
        code="invalid_agent",
        details={key: value for key, value in details.items() if value is not None},
    )
