"""Reads tools that users wrote: functions in Python files of a folder.

    from tools import tool

    @tool(repeatable=True)
    def exchange(amount: float, currency: Literal["EUR", "USD"] = "EUR") -> float:
        \"\"\"Convert an amount of money.\"\"\"

The parameters come from the signature, the description from the docstring. A plain function runs in
a thread. A parameter annotated `ToolContext` receives the context. A file is imported into this
process, so one that somebody else can change is refused.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import PydanticSerializationError, to_jsonable_python

from config.errors import Invalid, MotetError
from config.files import read_file
from config.trusted_files import check_trusted
from tools.spec import JSON, Reads, Tool, ToolContext
from tools.user_code.guard import call_guarded, describe
from tools.user_code.importing import import_in_time
from tools.user_code.threads import UserThreads

Function = Callable[..., Any]
F = TypeVar("F", bound=Function)
MARK_ATTRIBUTE = "__motet_tool__"
"""Where `tool` leaves its options on a function."""
MODEL_CONFIG = ConfigDict(extra="forbid", protected_namespaces=())
NAMED_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@overload
def tool(function: F) -> F: ...


@overload
def tool(
    *,
    name: str | None = None,
    repeatable: bool = False,
    timeout_s: float = 60.0,
    reads: Reads = "private",
    addresses: Sequence[str] | None = None,
) -> Callable[[F], F]: ...


def tool(
    function: F | None = None,
    *,
    name: str | None = None,
    repeatable: bool = False,
    timeout_s: float = 60.0,
    reads: Reads = "private",
    addresses: Sequence[str] | None = None,
) -> F | Callable[[F], F]:
    """Mark a function as a tool; it stays the function it was.

    Say `repeatable=True` when calling it a second time does no harm; by `reads` what its result may
    hold besides what it was given, and by `addresses` which arguments name what it fetches.
    """

    def mark(marked: F) -> F:
        options: dict[str, Any] = {"name": name, "repeatable": repeatable, "timeout_s": timeout_s}
        options |= {"reads": reads, "addresses": None if addresses is None else tuple(addresses)}
        setattr(marked, MARK_ATTRIBUTE, options)
        return marked

    return mark(function) if function else mark


def load_user_tools(
    folder: Path, threads: UserThreads | None = None
) -> tuple[list[Tool], list[MotetError]]:
    """Load the tools of every `*.py` in a folder; plain functions run in `threads`.

    Returns them with what is wrong with files that gave none. Files whose name begins with an
    underscore are left alone. Blocks: it imports the files.
    """
    tools: list[Tool] = []
    problems: list[MotetError] = []
    threads = threads or UserThreads()
    for file in sorted(folder.glob("*.py")):
        if file.name.startswith("_"):
            continue
        try:
            tools += call_guarded(partial(read_tools, file, threads))
        except MotetError as error:
            problems.append(error)
        except Exception as error:
            problems.append(_wrap_error(file, error))
    return tools, problems


def read_tools(file: Path, threads: UserThreads | None = None) -> list[Tool]:
    """Read the tools of one file: its `TOOLS` list, else its marked functions in order.

    Raises `Invalid` (`invalid_tool_file`) naming the file, and the line where one is known, and
    (`untrusted_file`) where somebody else can change it.
    """
    check_trusted(file)
    try:
        read_file(file)  # importing what is no file, such as a pipe, would never end
    except OSError as error:
        raise _file_error(file, f"cannot be read: {error.strerror}.") from error
    module = _import_file(file)
    listed = getattr(module, "TOOLS", None)
    if listed is None:
        listed = [value for value in vars(module).values() if _is_marked(value, module)]
    if not isinstance(listed, list | tuple) or not listed:
        raise _file_error(file, "has no tools: mark a function with @tool, or list some in TOOLS.")
    threads = threads or UserThreads()
    try:
        return [_build_listed(item, file, threads) for item in listed]
    except MotetError as error:
        raise _file_error(file, error.message, error.details.get("line")) from error


def build_tool(function: Function, origin: str, threads: UserThreads) -> Tool:
    """Build a tool from a function's signature and docstring. Raises `Invalid` saying what is
    amiss.
    """
    options = getattr(
        function, MARK_ATTRIBUTE, {"name": None, "repeatable": False, "timeout_s": 60.0}
    )
    name = options["name"] or function.__name__
    bounds = {key: options[key] for key in ("reads", "addresses") if key in options}
    model, context_name = _model_arguments(function, name)
    schema = model.model_json_schema()
    schema.pop("title", None)
    description = inspect.getdoc(function)
    if not description:
        raise Invalid(f"the tool '{name}' needs a docstring: models choose a tool by it.")
    return Tool(
        name=name,
        description=description,
        parameters={"type": "object", **schema},
        run=_build_runner(function, name, model, context_name, threads),
        repeatable=options["repeatable"],
        timeout_s=options["timeout_s"],
        origin=origin,
        **bounds,
    )


def _build_listed(item: Any, file: Path, threads: UserThreads) -> Tool:
    if isinstance(item, Tool):
        return replace(item, origin=str(file))
    if inspect.isfunction(item):
        try:
            return build_tool(item, str(file), threads)
        except MotetError as error:
            error.details["line"] = item.__code__.co_firstlineno
            raise
    raise Invalid(f"TOOLS holds {item!r}, which is neither a function nor a Tool.")


def _model_arguments(function: Function, name: str) -> tuple[type[BaseModel], str | None]:
    """Return a model of the arguments, and the name of the parameter that takes the context."""
    fields: dict[str, Any] = {}
    context_name = None
    try:
        hints = get_type_hints(function, include_extras=True)
        for parameter in inspect.signature(function).parameters.values():
            hint = hints.get(parameter.name)
            if hint is ToolContext:
                context_name = parameter.name
            elif hint is None or parameter.kind not in NAMED_KINDS:
                raise Invalid(f"the tool '{name}': give '{parameter.name}' a name and a type.")
            else:
                required = parameter.default is inspect.Parameter.empty
                fields[parameter.name] = (hint, Field(... if required else parameter.default))
        return create_model(name, __config__=MODEL_CONFIG, **fields), context_name
    except MotetError:
        raise
    except Exception as error:  # pydantic and typing raise many kinds for a hint they cannot read
        raise Invalid(f"the tool '{name}' has a signature that cannot be read: {error}") from error


def _build_runner(
    function: Function,
    name: str,
    model: type[BaseModel],
    context_name: str | None,
    threads: UserThreads,
) -> Callable[[dict[str, Any], ToolContext], Any]:
    async def run(arguments: dict[str, Any], context: ToolContext) -> JSON:
        values = _parse_arguments(name, model, arguments)
        if context_name:
            values[context_name] = context
        if inspect.iscoroutinefunction(function):
            result = await function(**values)
        else:
            result = await _call_in_thread(partial(function, **values), name, context, threads)
        try:
            return to_jsonable_python(result)
        except PydanticSerializationError as error:
            raise Invalid(f"Tool '{name}' returned what JSON cannot hold: {error}") from error

    return run


async def _call_in_thread(
    call: Callable[[], Any], name: str, context: ToolContext, threads: UserThreads
) -> Any:
    def announce_wait() -> None:
        context.send_event("progress", waits_for="a thread")

    def warn() -> None:
        context.send_event(
            "warning",
            code="function_runs_on",
            message=f"The function of tool '{name}' runs on in its thread, though nobody waits.",
        )

    return await threads.call(f"tool '{name}'", call, announce_wait, warn)


def _parse_arguments(
    name: str, model: type[BaseModel], arguments: dict[str, Any]
) -> dict[str, Any]:
    """Convert the arguments to the types of the signature. Raises `Invalid`
    (`invalid_arguments`).
    """
    try:
        checked = model.model_validate(arguments)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise Invalid(
            f"Tool '{name}', {field}: {first['msg']}",
            code="invalid_arguments",
            details={"tool": name, "field": field},
        ) from error
    return {field: getattr(checked, field) for field in type(checked).model_fields}


def _is_marked(value: Any, module: ModuleType) -> bool:
    # A marked function imported from elsewhere belongs to its own file.
    return hasattr(value, MARK_ATTRIBUTE) and getattr(value, "__module__", "") == module.__name__


def _import_file(file: Path) -> ModuleType:
    name = f"motet_user_tools_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise _file_error(file, "cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    # Type hints of the file are looked up here, now and whenever a schema is made.
    sys.modules[name] = module
    load = partial(spec.loader.exec_module, module)
    try:
        import_in_time(f"{file} {file.stat().st_mtime_ns}", load)
    except BaseException as error:
        sys.modules.pop(name, None)
        raise _wrap_error(file, error) from error
    return module


def _wrap_error(file: Path, error: BaseException) -> Invalid:
    return _file_error(file, describe(error), _failing_line(file, error))


def _file_error(file: Path, message: str, line: int | None = None) -> Invalid:
    details = {"file": str(file)} | ({"line": line} if line else {})
    where = f"{file}:{line}" if line else str(file)
    return Invalid(f"{where}: {message}", code="invalid_tool_file", details=details)


def _failing_line(file: Path, error: BaseException) -> int | None:
    """Return the line of the file where an import failed."""
    if isinstance(error, SyntaxError):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if frame.filename == str(file)), None)
