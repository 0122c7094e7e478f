"""`agent`: a chat model that calls tools until it can answer."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolCall, ToolMessage
from langgraph.types import interrupt
from pydantic import Field

from config.errors import MotetError, Unavailable, nearest
from config.origins import ListedHost
from graphs.chat.answers import check_parts
from graphs.chat.ask import BoundChat, ask
from graphs.chat.foreign import NOTE, mark_foreign
from graphs.chat.messages import add_to_system, build_messages
from graphs.compile.durable import durable_call, gather_all
from graphs.compile.node import CompiledNode, CompileScope, NodeContext, NodeType
from graphs.compile.retry import will_retry
from graphs.nodes.tool_calls import call_tool, note_reading, urls_of
from graphs.spec.channel_types import Type
from graphs.spec.node_spec import NodeSpec
from graphs.templates.filters import number_passage
from models.refusal import HOW_TO_GET_LANGUAGE_MODEL
from tools.address_policy import AddressPolicy, address_key

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

log = logging.getLogger(__name__)

PARTS: dict[str, Type] = {
    "text": "string",
    "message": "any",
    "messages": "any",
    "steps": "integer",
    "model": "string",
    "citations": "list",
    "checks": "list",
    "refused": "boolean",
}
MAX_RESULT_CHARS = 40_000
"""Of one tool's result that the model is shown: more would crowd out the conversation."""
LAST_TURN = "No more tools can be called. Answer now with what you have found out."


class AgentNodeSpec(NodeSpec):
    """Lets a model call tools, at most `max_steps` times, and then answer."""

    type: Literal["agent"]
    model: str = Field("chat", description="A role, a model's name, or `ollama/<tag>`.")
    system: str | None = None
    messages: str | None = Field(None, description="A conversation that stands before the prompt.")
    trust_system: bool = Field(
        False, description="Whether system messages of the conversation count as one's own."
    )
    prompt: str | None = None
    tools: list[str] = Field(min_length=1, description="Names of tools.")
    hosts: list[ListedHost] = Field(
        default_factory=list,
        description="Hosts of addresses that the model may choose although private data was read.",
    )
    other_hosts: Literal["refuse", "ask"] = Field(
        "refuse", description="Whether a person is asked about an address of another host."
    )
    max_steps: int = Field(8, ge=1, le=100, description="A bound on turns with tools.")


def build(spec: AgentNodeSpec, scope: CompileScope) -> CompiledNode:
    if spec.prompt is None and spec.messages is None:
        scope.problem("prompt", "is required, or `messages`.")
    inputs = scope.optional(
        model=spec.model, system=spec.system, messages=spec.messages, prompt=spec.prompt
    )

    async def run(inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
        messages = await build_messages(inputs, context, trust_system=spec.trust_system)
        loop = ToolLoop(context, spec, str(inputs["model"]), messages)
        message = await loop.run(spec.max_steps)
        # A sentence may rest on a tool that gives no passages, so one without a citation is fine.
        answer = await check_parts(message, context, uncited=False)
        parts = {key: value for key, value in answer.items() if key in PARTS}
        earlier = [each for each in loop.added[:-1] if not isinstance(each, HumanMessage)]
        return {**parts, "messages": [*earlier, parts["message"]], "steps": loop.turns}

    return CompiledNode(inputs, run, retries_itself=True)


class ToolLoop:
    """One conversation with a model and its tools, within one step.

    Every answer and every tool's result is a durable call: after a crash none of those that were
    stored is asked for again.
    """

    def __init__(
        self,
        context: NodeContext,
        spec: AgentNodeSpec,
        model: str,
        messages: Sequence[BaseMessage],
    ) -> None:
        self._context = context
        self._spec = spec
        self._model = model
        self._tools = {name: context.run.tools.get(name) for name in spec.tools}
        self._messages = list(messages)
        if any(tool.reads != "nothing" for tool in self._tools.values()):
            self._messages = add_to_system(self._messages, NOTE)
        self.added: list[BaseMessage] = []
        """What the model and its tools have said in this step."""
        self.turns = 0

    async def run(self, max_turns: int) -> AIMessage:
        """Let the model call tools until it answers, and return its last answer.

        Raises `Unavailable` (`too_many_turns`) for a model that never stops calling.
        """
        for _ in range(max_turns):
            answer = await self._ask(self._bind_tools)
            if not answer.tool_calls and not answer.invalid_tool_calls:
                return answer
            self.turns += 1
            self.added += await self._call_tools(answer)
        return await self._ask_last(max_turns)

    async def _ask_last(self, max_turns: int) -> AIMessage:
        """Ask for an answer without tools, when the turns with tools are used up."""
        self._context.emit(
            "warning", code="too_many_turns", message=f"{max_turns} turns with tools are used up."
        )
        self.added.append(HumanMessage(LAST_TURN))
        answer = await self._ask(lambda chat: chat)
        if answer.tool_calls or not answer.text:
            raise Unavailable(
                f"The model went on calling tools after {max_turns} turns. Raise `max_steps`, or "
                "take a model that is better with tools.",
                code="too_many_turns",
                permanent=True,
            )
        return answer

    async def _ask(self, bind: Callable[[BaseChatModel], BoundChat]) -> AIMessage:
        async def ask_model(context: NodeContext) -> AIMessage:
            return await ask(context, self._model, [*self._messages, *self.added], bind)

        answer: AIMessage = await durable_call(ask_model, "model", self._context, self._spec)
        self.added.append(answer)
        return answer

    def _bind_tools(self, chat: BaseChatModel) -> BoundChat:
        try:
            return chat.bind_tools([tool.as_function() for tool in self._tools.values()])
        except NotImplementedError as error:
            raise Unavailable(
                "The chat model that is available here cannot call tools. "
                f"{HOW_TO_GET_LANGUAGE_MODEL}",
                code="needs_language_model",
                permanent=True,
            ) from error

    async def _call_tools(self, answer: AIMessage) -> list[BaseMessage]:
        """Call the tools of an answer all at once, and return their results in its order."""
        unreadable = [
            ToolMessage(f"The call cannot be read: {call['error']}", tool_call_id=call["id"] or "")
            for call in answer.invalid_tool_calls
        ]
        policy = self._policy(answer.tool_calls)
        # Durable results are found by the order in which calls begin. Tasks begin in the order in
        # which they are made, so after a crash each call finds its own result.
        tasks = [
            asyncio.create_task(
                self._call_tool(call, policy), name=f"{self._context.node} {call['name']}"
            )
            for call in answer.tool_calls
        ]
        results = await gather_all(tasks)
        for call in answer.tool_calls:
            # Also where the result was stored before a crash.
            if tool := self._tools.get(call["name"]):
                note_reading(tool, self._context)
        pairs = zip(answer.tool_calls, results, strict=True)
        return [*(self._result_message(call, result) for call, result in pairs), *unreadable]

    def _policy(self, calls: Sequence[ToolCall]) -> AddressPolicy:
        """Return which addresses these calls may name; asks a person where the node says so."""
        policy = self._context.addresses.listing(self._spec.hosts)
        if self._spec.other_hosts == "refuse":
            return policy
        for call in calls:
            tool = self._tools.get(call["name"])
            for url in urls_of(tool, call["args"]) if tool else ():
                # Asked here and not within the call: a step that is answered runs from its begin,
                # and meets its questions in the same order.
                key = address_key(url)
                if key and not policy.allows(url) and _is_approved(call["name"], url):
                    self._context.exposure.add({"written": [key]})
                    policy = self._context.addresses.listing(self._spec.hosts)
        return policy

    async def _call_tool(self, tool_call: ToolCall, policy: AddressPolicy) -> Any:
        name = tool_call["name"]
        known = name in self._spec.tools

        async def run(context: NodeContext) -> dict[str, Any]:
            if not known:
                hint = nearest(name, self._spec.tools)
                return {"error": f"There is no tool '{name}'. {hint}"}
            try:
                return {"result": await call_tool(name, dict(tool_call["args"]), context, policy)}
            except MotetError as error:
                if will_retry(error, context, self._spec):
                    raise
                # The model is told of the failure and may try another way.
                log.debug("run %s: tool %s failed: %s", context.run.run_id, name, error.code)
                return {"error": error.public_message}

        return await durable_call(run, name if known else "tool", self._context, self._spec)

    def _result_message(self, tool_call: ToolCall, outcome: Mapping[str, Any]) -> ToolMessage:
        id_, name = tool_call["id"] or "", tool_call["name"]
        if "error" in outcome:
            text = f"Error: {outcome['error']}"
            return ToolMessage(text, name=name, tool_call_id=id_, status="error")
        text = self._write_result(outcome["result"])
        if len(text) > MAX_RESULT_CHARS:
            self._context.emit(
                "warning",
                code="tool_result_shortened",
                message=f"The model is shown {MAX_RESULT_CHARS:,} of {len(text):,} characters of "
                f"what tool '{name}' gave.",
            )
            text = f"{text[:MAX_RESULT_CHARS]}… (cut off)"
        if self._tools[name].reads != "nothing":
            text = mark_foreign(text, self._context.mark)
        return ToolMessage(text, name=name, tool_call_id=id_)

    def _write_result(self, result: Any) -> str:
        """Write a tool's result as text; passages numbered, so that the answer can cite them."""
        passages = result.get("passages") if isinstance(result, dict) else None
        if isinstance(passages, list) and passages:
            first = self._context.rendering.next_number
            self._context.rendering.cited.append(("", passages))
            text = "\n\n".join(number_passage(n, each) for n, each in enumerate(passages, first))
        elif isinstance(result, str):
            text = result
        else:
            text = json.dumps(result, ensure_ascii=False, default=str)
        return text


def _is_approved(tool: str, url: str) -> bool:
    """Ask a person whether a tool may fetch a URL; ends the step until there is an answer."""
    schema = {"type": "boolean"}
    message = (
        f"The model wants to call '{tool}' with an address that nobody listed or wrote, after it "
        "has read private data. Whatever stands in the address reaches that host. Allow it?"
    )
    question = {"message": message, "show": {"url": url}, "schema": schema}
    return interrupt(question, response_schema=schema) is True


AGENT = NodeType(AgentNodeSpec, build, PARTS, "text", model_task="chat")
