"""Every tool of this service: the shipped ones and those that users wrote.

Owns names: each is taken once, shipped tools first. The composition root hands in what tools are
made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.errors import Conflict, MotetError, NotFound, Unavailable, nearest
from tools.book import book_tool
from tools.calculate import calculate_tool
from tools.caption import caption_tool
from tools.clock import clock_tool
from tools.image import image_tool
from tools.index import AddText, index_tool
from tools.media_deps import MediaToolDeps
from tools.safe_fetch import FetchLimits
from tools.search import SearchPassages, search_tool
from tools.spec import Tool
from tools.speech import speech_tool
from tools.transcribe import transcribe_tool
from tools.user_code.threads import UserThreads
from tools.user_tools import load_user_tools
from tools.web import web_tool

WEB_LIMITS = FetchLimits(max_bytes=4 * 2**20)


@dataclass(frozen=True)
class ToolDeps:
    """What shipped tools are made of; the composition root hands it in.

    Without `add` there is no tool that adds to an index, without `media` none for pictures and
    sound.
    """

    search: SearchPassages
    web_limits: FetchLimits = WEB_LIMITS
    add: AddText | None = None
    media: MediaToolDeps | None = None


PLAIN_TOOLS: Mapping[str, Callable[[ToolDeps], Tool]] = {
    "calculate": lambda parts: calculate_tool(),
    "clock": lambda parts: clock_tool(),
    "search": lambda parts: search_tool(parts.search),
    "web": lambda parts: web_tool(parts.web_limits),
}
"""Tools that every service has."""
INDEX_TOOLS: Mapping[str, Callable[[AddText], Tool]] = {"index": index_tool}
"""Tools that need a way to add to indexes."""
MEDIA_TOOLS: Mapping[str, Callable[[MediaToolDeps], Tool]] = {
    "book": book_tool,
    "caption": caption_tool,
    "image": image_tool,
    "speech": speech_tool,
    "transcribe": transcribe_tool,
}
"""Tools that need models, media workers and artifacts."""


class Toolbox:
    """Tools by name. `problems` tells which files of users could not be used, and why."""

    def __init__(self, tools: Iterable[Tool], problems: Iterable[MotetError] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        broken = list(problems)
        for tool in tools:
            if earlier := self._tools.get(tool.name):
                broken.append(_name_conflict(tool, earlier))
            else:
                self._tools[tool.name] = tool
        self.problems = tuple(broken)

    def get(self, name: str) -> Tool:
        """Return a tool.

        Raises `NotFound` (`tool_not_found`) that proposes the nearest name and tells what is
        broken.
        """
        if tool := self._tools.get(name):
            return tool
        broken = "".join(f" Not loaded: {problem.message}" for problem in self.problems)
        raise NotFound(
            f"There is no tool '{name}'. {nearest(name, self._tools)}{broken}",
            code="tool_not_found",
            details={"tool": name},
        )

    def names(self) -> list[str]:
        return sorted(self._tools)

    def describe(self) -> list[dict[str, Any]]:
        """Return every tool as JSON, by name."""
        return [self._tools[name].as_dict() for name in self.names()]


def load_toolbox(
    parts: ToolDeps, folder: Path | None = None, threads: UserThreads | None = None
) -> Toolbox:
    """Load the shipped tools and those of `folder`, whose plain functions run in `threads`.

    A broken file is a problem, never a failure. Blocks: it imports the files.
    """
    own, problems = load_user_tools(folder, threads) if folder else ([], [])
    return Toolbox([*_build_shipped(parts), *own], problems)


def declare_tools(folder: Path | None = None) -> Toolbox:
    """Load all tools for what they declare; a call of a shipped one fails.

    Blocks as `load_toolbox` does.
    """
    nothing: Any = None
    media = MediaToolDeps(nothing, nothing, nothing, nothing)
    return load_toolbox(ToolDeps(_refuse, add=_refuse, media=media), folder)


async def _refuse(*_: Any, **__: Any) -> Any:
    raise Unavailable("There is no service behind this tool.", code="tool_failed")


def _build_shipped(parts: ToolDeps) -> Iterator[Tool]:
    for make in PLAIN_TOOLS.values():
        yield make(parts)
    if parts.add is not None:
        for fill in INDEX_TOOLS.values():
            yield fill(parts.add)
    if parts.media is not None:
        for make_with in MEDIA_TOOLS.values():
            yield make_with(parts.media)


def _name_conflict(tool: Tool, earlier: Tool) -> Conflict:
    return Conflict(
        f"{tool.origin}: the name '{tool.name}' is taken already ({earlier.origin}). Rename it.",
        code="tool_name_taken",
        details={"file": tool.origin, "tool": tool.name},
    )
