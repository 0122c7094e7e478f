"""The same tasks by LangGraph's own agent, with the same tools on the same server."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI
from langgraph.errors import GraphRecursionError
from langgraph.prebuilt import create_react_agent
from langgraph.warnings import LangGraphDeprecatedSinceV10
from openai import OpenAIError

from benchmarks.language.tool_judging import Attempt, Call, ToolTask
from config.errors import MotetError
from tools.calculate import calculate_tool
from tools.clock import clock_tool
from tools.search import search_tool
from tools.spec import Tool, ToolContext
from tools.user_code.threads import UserThreads
from tools.user_tools import load_user_tools

CONTEXT = ToolContext("bench")
MAX_STEPS = 12
"""Of the graph: a call and its results are two."""


class ReactAgent:
    """A model at a server, and the tools that Motet's agent has too."""

    def __init__(
        self, url: str, model: str, system: str, tools: Sequence[Tool], bound: int
    ) -> None:
        chat = ChatOpenAI(
            base_url=f"{url}/v1", api_key="none", model=model, temperature=0, max_tokens=bound
        )
        with warnings.catch_warnings():
            # It went to the package langchain, which nobody here needs.
            warnings.simplefilter("ignore", LangGraphDeprecatedSinceV10)
            self._graph = create_react_agent(chat, [_wrap(each) for each in tools], prompt=system)

    async def attempt(self, task: ToolTask) -> Attempt:
        """Let the agent work on a task; an error is a part of the attempt."""
        begun = time.perf_counter()
        config: RunnableConfig = {"recursion_limit": MAX_STEPS}
        messages: list[BaseMessage] = []
        error = ""
        try:
            stream = self._graph.astream(
                {"messages": [("user", task.prompt)]}, config, stream_mode="values"
            )
            async for state in stream:
                messages = state["messages"]
        except (GraphRecursionError, OpenAIError, ValueError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        last = messages[-1] if messages else None
        answer = last.text if isinstance(last, AIMessage) and not error else ""
        return Attempt(list_calls(messages), answer, error, time.perf_counter() - begun)


def list_calls(messages: Sequence[BaseMessage]) -> list[Call]:
    """List the calls of a conversation, each with its result."""
    results = {each.tool_call_id: each.text for each in messages if isinstance(each, ToolMessage)}
    return [
        Call(call["name"], call["args"], read_result(results.get(call["id"] or "", "")))
        for message in messages
        if isinstance(message, AIMessage)
        for call in message.tool_calls
    ]


def read_result(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def make_tools(client: httpx.AsyncClient, folder: Path) -> list[Tool]:
    """Make three shipped tools, and those of a folder; searches ask a service."""

    async def search(
        names: list[str], query: str, *, limit: int, where: Mapping[str, Any] | None, tenant: str
    ) -> dict[str, Any]:
        body = {"indexes": names, "query": query, "limit": limit, "where": where or {}}
        found: dict[str, Any] = (await client.post("/search", json=body)).json()
        return found

    own, problems = load_user_tools(folder, UserThreads())
    assert not problems, problems
    return [calculate_tool(), clock_tool(), search_tool(search), *own]


def _wrap(tool: Tool) -> StructuredTool:
    async def call(**arguments: Any) -> str:
        try:
            return json.dumps(await tool.call(arguments, CONTEXT), default=str)
        except MotetError as error:
            return f"Error: {error.public_message}"

    return StructuredTool(
        name=tool.name,
        description=tool.description,
        args_schema=dict(tool.parameters),
        coroutine=call,
    )
