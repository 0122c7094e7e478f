"""`agent`: a chat model that calls tools until it can answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolCall, ToolMessage
from pydantic import Field

from config.errors import MotetError, Unavailable, nearest
from graphs.chat import Prepared, ask, conversation
from graphs.compile.durable import durable_call, gather_all, will_retry
from graphs.compile.node import CompiledNode, CompileScope, NodeContext, NodeType
from graphs.compile.state import Type
from graphs.nodes.text import parts_of
from graphs.nodes.tool import call_tool
from graphs.spec.parts import NodeSpec
from graphs.templates.filters import numbered

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

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
MAX_RESULT = 40_000
ENOUGH = "No more tools can be called. Answer now with what you have found out."


class AgentNodeSpec(NodeSpec):
    """Lets a model call tools, at most `max_steps` times, and then answer."""

    type: Literal["agent"]
    model: str = Field("chat", description="A role, a model's name, or `ollama/<tag>`.")
    system: str | None = None
    messages: str | None = Field(None, description="A conversation that stands before the prompt.")
    prompt: str | None = None
    tools: list[str] = Field(min_length=1, description="Names of tools.")
    max_steps: int = Field(8, ge=1, le=100, description="A bound on turns with tools.")


def build(spec: AgentNodeSpec, scope: CompileScope) -> CompiledNode:
    if spec.prompt is None and spec.messages is None:
        scope.problem("prompt", "is required, or `messages`.")
    inputs = scope.optional(
        model=spec.model, system=spec.system, messages=spec.messages, prompt=spec.prompt
    )

    async def run(inputs: dict[str, Any], call: NodeContext) -> dict[str, Any]:
        loop = Loop(call, spec, str(inputs["model"]), conversation(inputs, call))
        message = await loop.run(spec.max_steps)
        # What tools other than searches told is not cited.
        told = await parts_of(message, call, uncited=False)
        parts = {key: value for key, value in told.items() if key in PARTS}
        said = [each for each in loop.said[:-1] if not isinstance(each, HumanMessage)]
        return {**parts, "messages": [*said, parts["message"]], "steps": loop.steps}

    return CompiledNode(inputs, run, retries=True)


class Loop:
    """One conversation with a model and its tools.

    Every answer and every tool's result is stored when it is there: after a crash none of them is
    asked for again.
    """

    def __init__(
        self, call: NodeContext, spec: AgentNodeSpec, model: str, messages: Sequence[BaseMessage]
    ) -> None:
        self._call = call
        self._spec = spec
        self._model = model
        self._names = spec.tools
        self._functions = [call.context.tools.get(name).as_function() for name in spec.tools]
        self._messages = list(messages)
        self.said: list[BaseMessage] = []
        self.steps = 0

    async def run(self, max_steps: int) -> AIMessage:
        """The model's last answer."""
        for _ in range(max_steps):
            answer = await self._ask(self._with_tools)
            if not answer.tool_calls and not answer.invalid_tool_calls:
                return answer
            self.steps += 1
            self.said += await self._answer_calls(answer)
        return await self._finish(max_steps)

    async def _finish(self, max_steps: int) -> AIMessage:
        self._call.emit(
            "warning", code="too_many_turns", message=f"{max_steps} turns with tools are used up."
        )
        self.said.append(HumanMessage(ENOUGH))
        answer = await self._ask(lambda chat: chat)
        if answer.tool_calls or not answer.text:
            raise Unavailable(
                f"The model went on calling tools after {max_steps} turns. Raise `max_steps`, or "
                "take a model that is better with tools.",
                code="too_many_turns",
                permanent=True,
            )
        return answer

    async def _ask(self, prepare: Callable[[BaseChatModel], Prepared]) -> AIMessage:
        async def model(call: NodeContext) -> AIMessage:
            return await ask(call, self._model, [*self._messages, *self.said], prepare)

        answer: AIMessage = await durable_call(model, "model", self._call, self._spec)
        self.said.append(answer)
        return answer

    def _with_tools(self, chat: BaseChatModel) -> Prepared:
        try:
            return chat.bind_tools(self._functions)
        except NotImplementedError as error:
            raise Unavailable(
                "The chat model that is available here cannot call tools. Install Ollama from "
                "ollama.com and pull a model that can, as in `ollama pull qwen3`, or name an "
                "OpenAI-compatible server in models.yaml.",
                code="needs_language_model",
                permanent=True,
            ) from error

    async def _answer_calls(self, answer: AIMessage) -> list[BaseMessage]:
        wrong = [
            ToolMessage(f"The call cannot be read: {call['error']}", tool_call_id=call["id"] or "")
            for call in answer.invalid_tool_calls
        ]
        # Begun in order, so that after a crash each finds its own stored result.
        begun = [
            asyncio.create_task(self._run_tool(call), name=f"{self._call.node} {call['name']}")
            for call in answer.tool_calls
        ]
        results = await gather_all(begun)
        asked = zip(answer.tool_calls, results, strict=True)
        return [*(self._message(call, result) for call, result in asked), *wrong]

    async def _run_tool(self, asked: ToolCall) -> Any:
        name = asked["name"]

        async def run(call: NodeContext) -> dict[str, Any]:
            if name not in self._names:
                hint = nearest(name, self._names)
                return {"error": f"There is no tool '{name}'. {hint}"}
            try:
                return {"result": await call_tool(name, dict(asked["args"]), call)}
            except MotetError as error:
                if will_retry(error, call, self._spec):
                    raise
                return {"error": error.message}

        return await durable_call(
            run, name if name in self._names else "tool", self._call, self._spec
        )

    def _message(self, asked: ToolCall, found: Mapping[str, Any]) -> ToolMessage:
        id_, name = asked["id"] or "", asked["name"]
        if "error" in found:
            text = f"Error: {found['error']}"
            return ToolMessage(text, name=name, tool_call_id=id_, status="error")
        return ToolMessage(self._written(found["result"]), name=name, tool_call_id=id_)

    def _written(self, result: Any) -> str:
        """A tool's result as text; passages numbered, so that the answer can cite them."""
        passages = result.get("passages") if isinstance(result, dict) else None
        if isinstance(passages, list) and passages:
            cited = self._call.render.cited
            begin = sum(len(found) for _, found in cited) + 1
            cited.append(("", passages))
            text = "\n\n".join(numbered(n, passage) for n, passage in enumerate(passages, begin))
        elif isinstance(result, str):
            text = result
        else:
            text = json.dumps(result, ensure_ascii=False, default=str)
        return text if len(text) <= MAX_RESULT else f"{text[:MAX_RESULT]}… (cut off)"


AGENT = NodeType(AgentNodeSpec, build, PARTS, lambda spec: "text")
