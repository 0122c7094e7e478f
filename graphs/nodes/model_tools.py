"""The tools that a node gives to a language model, and what becomes of the model's calls.

Owns how tools are declared, what arguments a call gets, which addresses it may name, and what the
model is shown of the results. Calling a tool is `tool_calls`', taking turns the `agent` node's.
Invariant: a call gets the arguments that the node binds, whatever the model wrote.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from langchain_core.messages import AIMessage, ToolCall, ToolMessage
from langgraph.types import interrupt

from config.errors import MotetError, nearest
from graphs.chat.foreign import mark_foreign
from graphs.compile.durable import durable_call, gather_all
from graphs.compile.node import NodeContext
from graphs.compile.retry import will_retry
from graphs.nodes.tool_calls import call_tool, note_reading, urls_of
from graphs.spec.node_spec import NodeSpec
from graphs.templates.filters import number_passage
from tools.address_policy import AddressPolicy, address_key
from tools.model_arguments import ModelArguments, read_arguments
from tools.spec import Tool

log = logging.getLogger(__name__)

MAX_RESULT_CHARS = 40_000
"""Of one tool's result that the model is shown: more would crowd out the conversation."""
UNREADABLE = "its arguments are no JSON object."


class CalledTools(NamedTuple):
    """What the calls of one answer came to."""

    results: list[ToolMessage]
    failed: list[str]
    """The calls that failed, each written as one text."""
    outcomes: list[str]
    """All calls with what they gave, each written as one text."""
    values: list[Any]
    """What the calls that did not fail gave."""


@dataclass
class ModelTools:
    """The tools of one step. `bound` has, by a tool's name, what the model does not choose."""

    context: NodeContext
    spec: NodeSpec
    names: Sequence[str]
    bound: Mapping[str, Mapping[str, Any]]
    hosts: Sequence[str]
    """Those that the model may choose although private data was read."""
    asks_for_hosts: bool
    """Whether a person is asked about others."""
    _tools: Mapping[str, Tool] = field(init=False)
    _read: dict[str, ModelArguments] = field(init=False, default_factory=dict)
    """By a call's id, its arguments and what was left out of them."""

    def __post_init__(self) -> None:
        self._tools = {name: self.context.run.tools.get(name) for name in self.names}

    @property
    def reads(self) -> bool:
        """Whether results may hold texts of others."""
        return any(tool.reads != "nothing" for tool in self._tools.values())

    def declare(self) -> list[dict[str, Any]]:
        """Return the declarations that a model is given, without what is bound."""
        return [
            tool.as_function(without=self.bound.get(name, ())) for name, tool in self._tools.items()
        ]

    def read_calls(self, answer: AIMessage) -> AIMessage:
        """Return an answer whose calls have the arguments that the model meant."""
        calls = [{**call, "args": self._read_arguments(call)} for call in answer.tool_calls]
        return answer.model_copy(update={"tool_calls": calls})

    def _read_arguments(self, call: ToolCall) -> dict[str, Any]:
        tool = self._tools.get(call["name"])
        if tool is None:
            return call["args"]
        read = self._read[call["id"] or ""] = read_arguments(call["args"], tool.parameters)
        if left_out := [*read.dropped, *read.unknown]:
            run_id = self.context.run.run_id
            log.debug("run %s: tool %s: left out: %s", run_id, tool.name, ", ".join(left_out))
        bound = self.bound.get(tool.name, {})
        return {name: value for name, value in read.values.items() if name not in bound}

    async def call(self, answer: AIMessage) -> CalledTools:
        """Call the tools of an answer all at once, and return their results in its order."""
        policy = self._policy(answer.tool_calls)
        # Durable results are found by the order in which calls begin. Tasks begin in the order in
        # which they are made, so after a crash each call finds its own result.
        tasks = [
            asyncio.create_task(
                self._call_tool(call, policy), name=f"{self.context.node} {call['name']}"
            )
            for call in answer.tool_calls
        ]
        outcomes = await gather_all(tasks)
        for call in answer.tool_calls:
            # Also where the result was stored before a crash.
            if tool := self._tools.get(call["name"]):
                note_reading(tool, self.context)
        called = CalledTools([], [], [], [])
        for call, outcome in zip(answer.tool_calls, outcomes, strict=True):
            called.results.append(self._result_message(call, outcome))
            written = _write([call["name"], call["args"]])
            called.outcomes.append(written + _write(outcome))
            if "error" in outcome:
                called.failed.append(written)
            else:
                called.values.append(outcome["result"])
        for unreadable in answer.invalid_tool_calls:
            text = f"The call cannot be read: {unreadable['error'] or UNREADABLE}"
            id_ = unreadable["id"] or ""
            called.results.append(ToolMessage(text, tool_call_id=id_, status="error"))
            called.failed.append(_write([unreadable["name"], unreadable["args"]]))
        called.outcomes.extend(called.failed)
        return called

    def _policy(self, calls: Sequence[ToolCall]) -> AddressPolicy:
        """Return which addresses these calls may name; asks a person where the node says so."""
        policy = self.context.addresses.listing(self.hosts)
        if not self.asks_for_hosts:
            return policy
        for call in calls:
            tool = self._tools.get(call["name"])
            for url in urls_of(tool, call["args"]) if tool else ():
                # Asked here and not within the call: a step that is answered runs from its begin,
                # and meets its questions in the same order.
                key = address_key(url)
                if key and not policy.allows(url) and _is_approved(call["name"], url):
                    self.context.exposure.add({"written": [key]})
                    policy = self.context.addresses.listing(self.hosts)
        return policy

    async def _call_tool(self, tool_call: ToolCall, policy: AddressPolicy) -> Any:
        name = tool_call["name"]
        known = name in self._tools
        arguments = {**tool_call["args"], **self.bound.get(name, {})}

        async def run(context: NodeContext) -> dict[str, Any]:
            if not known:
                hint = nearest(name, self._tools)
                return {"error": f"There is no tool '{name}'. {hint}"}
            try:
                return {"result": await call_tool(name, arguments, context, policy)}
            except MotetError as error:
                if will_retry(error, context, self.spec):
                    raise
                # The model is told of the failure and may try another way.
                log.debug("run %s: tool %s failed: %s", context.run.run_id, name, error.code)
                return {"error": error.public_message}

        return await durable_call(run, name if known else "tool", self.context, self.spec)

    def _result_message(self, tool_call: ToolCall, outcome: Mapping[str, Any]) -> ToolMessage:
        id_, name = tool_call["id"] or "", tool_call["name"]
        if "error" in outcome:
            text = f"Error: {outcome['error']}{self._describe_left_out(id_, name)}"
            return ToolMessage(text, name=name, tool_call_id=id_, status="error")
        text = self._write_result(outcome["result"])
        if len(text) > MAX_RESULT_CHARS:
            self.context.emit(
                "warning",
                code="tool_result_shortened",
                message=f"The model is shown {MAX_RESULT_CHARS:,} of {len(text):,} characters of "
                f"what tool '{name}' gave.",
            )
            text = f"{text[:MAX_RESULT_CHARS]}… (cut off)"
        if self._tools[name].reads != "nothing":
            text = mark_foreign(text, self.context.mark)
        return ToolMessage(text, name=name, tool_call_id=id_)

    def _describe_left_out(self, call_id: str, name: str) -> str:
        """Write what of a call that failed was not taken for an argument."""
        if (read := self._read.get(call_id)) is None:
            return ""
        sentences = [""]
        if dropped := ", ".join(read.dropped):
            sentences.append(f"You gave words of the schema instead of a value: {dropped}.")
        properties, bound = self._tools[name].parameters.get("properties"), self.bound.get(name, ())
        known = [each for each in properties or () if each not in bound]
        for unknown in read.unknown:
            sentences.append(f"There is no argument '{unknown}'. {nearest(unknown, known)}")
        return " ".join(sentences)

    def _write_result(self, result: Any) -> str:
        """Write a tool's result as text; passages numbered, so that the answer can cite them."""
        passages = result.get("passages") if isinstance(result, dict) else None
        if isinstance(passages, list) and passages:
            first = self.context.rendering.next_number
            self.context.rendering.cited.append(("", passages))
            text = "\n\n".join(number_passage(n, each) for n, each in enumerate(passages, first))
        elif isinstance(result, str):
            text = result
        else:
            text = json.dumps(result, ensure_ascii=False, default=str)
        return text


def _write(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _is_approved(tool: str, url: str) -> bool:
    """Ask a person whether a tool may fetch a URL; ends the step until there is an answer."""
    schema = {"type": "boolean"}
    message = (
        f"The model wants to call '{tool}' with an address that nobody listed or wrote, after it "
        "has read private data. Whatever stands in the address reaches that host. Allow it?"
    )
    question = {"message": message, "show": {"url": url}, "schema": schema}
    return interrupt(question, response_schema=schema) is True
